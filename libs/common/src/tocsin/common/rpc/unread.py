"""Calls that are admitted before their requests are read.

gRPC reads the request of a unary call before it calls anybody, and keeps it in memory, however
slowly it comes: 4 MiB for each of the 250 calls of a connection. So a call that bears no token for
its method is served like one that streams its requests, which are read when they are asked for:
after the admission. That costs a little more, so that calls which bear one are served as ever.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import grpc

from tocsin.common.errors import InvalidArgumentError, ResourceExhaustedError
from tocsin.common.rpc.caller import ANONYMOUS, peer_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tocsin.common.rpc.draining import Draining

    Behaviour = Callable[[Any, Any], Awaitable[Any]]
    RpcHandler = grpc.RpcMethodHandler[Any, Any]

MOST_READ_OF_STRANGERS: Final = 16
PATIENCE: Final = timedelta(seconds=5)
"""How long the request of a caller that proves nothing may take to arrive."""
SOON: Final = timedelta(milliseconds=250)
"""How long it may take though others wait: much longer than one takes that was sent."""

# Of a caller that is gone the requests end first, and a moment later the call.
_GONE_SECONDS: Final = 0.05

_KINDS: Final = {
    "unary_unary": grpc.stream_unary_rpc_method_handler,
    "unary_stream": grpc.stream_stream_rpc_method_handler,
}


class UnreadRequest:
    """A request that comes when it is read: before, it has no fields."""

    __slots__ = ("_message", "_requests")

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = requests
        self._message: Any = None

    async def read(self) -> Any:
        """Return the message. Raises InvalidArgumentError when there is none, or bad bytes."""
        async for message in self._requests:
            self._message = message
            return message
        await asyncio.sleep(_GONE_SECONDS)
        raise InvalidArgumentError("The call ended without a request. Send one message.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)


class UnreadCalls:
    """Makes handlers that read the request after the admission.

    Of callers that prove nothing, as who asks for health, so many requests are read at a time at
    most, and none for long. The next waits for its turn. If the request that is awaited longest
    does not come `soon`, the next takes its place, and it is refused with RESOURCE_EXHAUSTED
    (RATE_LIMITED): else some that never end would keep out all others.

    While a request is awaited its call ends as a stream does: when the server drains, or the caller
    would not be let in any more.
    """

    def __init__(
        self,
        draining: Draining,
        most: int = MOST_READ_OF_STRANGERS,
        patience: timedelta = PATIENCE,
        soon: timedelta = SOON,
    ) -> None:
        self._draining = draining
        self._most = most
        self._patience = patience.total_seconds()
        self._soon = soon.total_seconds()
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()
        self._reading: dict[asyncio.Timeout, float] = {}

    def reading(self, behave: Behaviour) -> Behaviour:
        """Return a behaviour that is given an UnreadRequest, reads it and goes on."""

        async def read(request: UnreadRequest, context: Any) -> Any:
            peer = peer_of(context)
            with self._draining.ends_this_stream(peer):
                if peer.actor == ANONYMOUS:
                    message = await self._of_a_stranger(request)
                else:
                    message = await request.read()
            return await behave(message, context)

        return read

    async def _of_a_stranger(self, request: UnreadRequest) -> Any:
        try:
            async with asyncio.timeout(self._patience) as limit:
                async with self._turn:
                    await self._find_room()
                    self._reading[limit] = _now()
                try:
                    return await request.read()
                finally:
                    self._reading.pop(limit, None)
                    self._ended.set()
        except TimeoutError:
            raise _too_many() from None

    async def _find_room(self) -> None:
        while len(self._reading) >= self._most:
            oldest, began = next(iter(self._reading.items()))
            left = began + self._soon - _now()
            if left <= 0:
                del self._reading[oldest]
                if not oldest.expired():
                    oldest.reschedule(0)
            else:
                await self._until_one_ends(left)

    async def _until_one_ends(self, seconds: float) -> None:
        self._ended.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()


def unread_handler(kind: str, call: Behaviour, found: RpcHandler, decode: Any) -> RpcHandler:
    """Return a handler of `kind` that gives `call` an UnreadRequest, for the same method."""

    async def begin(requests: AsyncIterator[Any], context: Any) -> Any:
        return await call(UnreadRequest(requests), context)

    return _KINDS[kind](begin, decode, found.response_serializer)


def _too_many() -> ResourceExhaustedError:
    return ResourceExhaustedError(
        "The requests of too many callers that prove no identity are on their way, or this one "
        "took too long. Nothing was done; come back later.",
        reason="RATE_LIMITED",
        retry_after=timedelta(seconds=1),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
