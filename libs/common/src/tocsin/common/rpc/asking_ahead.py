"""Several calls asked for at once, and begun together.

A server of gRPC gets a call from the core by asking for one. `grpc.aio` asks for the next when it
has begun the one before, over some four turns of the event loop for each, so under load calls wait
where nobody sees them and the loop turns for one at a time. Here `AT_ONCE` questions are always
open, and the calls that came meanwhile are begun in the same turn, in the order in which they
came. With 64 callers a touch takes a third less CPU for it.

Once a server stops, its main loop begins no call more. What came ahead by then is told to try
again: nobody else would answer it, and the stop would wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import grpc

from tocsin.common.rpc.draining import draining_error
from tocsin.common.rpc.status import status_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

AT_ONCE: Final = 16
"""How many calls the core may hand over before it is asked again."""

_cygrpc: Any = import_module("grpc._cython.cygrpc")
_REFUSED: type[Exception] = vars(_cygrpc)["_RequestCallError"]

_Call = Any


class CallsAhead:
    """The calls that come, one after the other, with several questions for them open.

    `ask` waits for a call. If it raises while the server runs, and the error is `refused`, it is
    asked again; any other error is that of the next call, and of each after it. A call that came
    and was not taken when the server stops is given to `turn_away`, which must not raise. Make it
    inside the event loop that will run it.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[_Call]],
        is_running: Callable[[], bool],
        turn_away: Callable[[_Call], Awaitable[None]],
        *,
        at_once: int = AT_ONCE,
        refused: type[Exception] = _REFUSED,
    ) -> None:
        self._ask = ask
        self._is_running = is_running
        self._turn_away = turn_away
        self._refused = refused
        self._came: deque[_Call] = deque()
        self._ended: Exception | None = None
        self._next: NextCall | None = None
        self._asking = [asyncio.ensure_future(self._go_on_asking()) for _ in range(at_once)]

    def next_call(self) -> NextCall:
        """Return the next call, that may have come already. One at a time may be waited for."""
        self._next = NextCall()
        if self._came:
            self._next.come(self._came.popleft())
        elif self._ended is not None:
            self._next.fail(self._ended)
        return self._next

    async def _go_on_asking(self) -> None:
        while True:
            try:
                call = await self._ask()
            except Exception as error:  # noqa: BLE001 - for who waits, and knows what it means
                if isinstance(error, self._refused) and self._is_running():
                    continue
                self._end(error)
                break
            self._come(call)
            if not self._is_running():
                break
        while self._came and not self._is_running():
            await self._turn_away(self._came.popleft())

    def _come(self, call: _Call) -> None:
        if self._next is None or self._next.done():
            self._came.append(call)
        else:
            self._next.come(call)

    def _end(self, error: Exception) -> None:
        self._ended = error
        if self._next is not None and not self._next.done():
            self._next.fail(error)


class NextCall(asyncio.Future[_Call]):
    """The next call. Who waits for it first is told at once, not in a later turn of the loop.

    A task that waits for it directly is told later all the same: it cannot go on inside another.
    """

    _is_awaited = False
    _tell: Callable[[asyncio.Future[_Call]], object] | None = None

    def come(self, call: _Call) -> None:
        """Be this call."""
        tell = self._first()
        self.set_result(call)
        tell(self)

    def fail(self, error: Exception) -> None:
        """Be none, for this error."""
        tell = self._first()
        self.set_exception(error)
        tell(self)

    def add_done_callback(self, tell: Callable[..., object], *, context: Any = None) -> None:
        """Tell the first who asks for it at once, any other in the next turn."""
        if self._is_awaited or self.cancelled() or _is_of_a_task(tell):
            super().add_done_callback(tell, context=context)
            return
        self._is_awaited = True
        if self.done():
            tell(self)
        else:
            self._tell = tell
            super().add_done_callback(tell, context=context)

    def _first(self) -> Callable[[asyncio.Future[_Call]], object]:
        """Take the one who waited first off those that are told later."""
        if self._tell is None or not super().remove_done_callback(self._tell):
            return _nobody
        return self._tell


def _is_of_a_task(tell: Callable[..., object]) -> bool:
    return isinstance(getattr(tell, "__self__", None), asyncio.Task)


def _nobody(_: asyncio.Future[_Call]) -> None:
    """Stand in for who waits where nobody does."""


class AskingAhead(_cygrpc.AioServer):  # type: ignore[misc]  # it has no types
    """gRPC's server, with several questions open for calls of whatever method.

    Its main loop makes a future for the next call, waits for it, begins the call, and makes
    another. It goes on doing so, but is answered from what came in advance.
    """

    _calls: CallsAhead | None = None

    def _make_request_call_future(self, method: bytes | None) -> asyncio.Future[_Call]:
        if method is not None:
            of_method: asyncio.Future[_Call] = super()._make_request_call_future(method)
            return of_method
        if self._calls is None:
            self._calls = CallsAhead(self._request_call, self.is_running, _turn_away)
        return self._calls.next_call()


async def _turn_away(call: _Call) -> None:
    """Tell a call that was not begun to try again, unless its caller has gone."""
    status = status_of(draining_error())
    operations = (
        _cygrpc.SendInitialMetadataOperation((), 0),
        _cygrpc.SendStatusFromServerOperation(
            status.trailing_metadata, status.code.value[0], status.message, 0
        ),
    )
    with suppress(grpc.aio.InternalError):
        await _cygrpc.execute_batch(call, operations, asyncio.get_running_loop())


@contextmanager
def asking_ahead() -> Iterator[None]:
    """Let the servers that are made inside the block ask for several calls at once."""
    original = _cygrpc.AioServer
    _cygrpc.AioServer = AskingAhead
    try:
        yield
    finally:
        _cygrpc.AioServer = original
