"""Load by plain HTTP/2 over sockets: a body of its own for each call, with no client library.

Everything that does not change from call to call is prepared before, so that a call costs a
fraction of what it costs a gRPC client in Python.
"""

from __future__ import annotations

import asyncio
import struct
import time
from itertools import count
from typing import TYPE_CHECKING

from bench import frames
from bench.bodies import framed
from bench.load import Load, LoadError
from bench.percentiles import p50_and_p99

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONNECTIONS = 4
_WARM_UP_SECONDS = 1.0
_REPORT_WINDOW_EVERY = 1 << 24


def load(
    target: str,
    method: str,
    make_body: Callable[[int], bytes],
    *,
    in_flight: int,
    seconds: float,
) -> Load:
    """Call a method with body 0, 1, 2, … for so long. Raises LoadError.

    For a process of its own: it runs an event loop.
    """
    return asyncio.run(_load(target, method, make_body, in_flight, seconds))


async def _load(
    target: str, method: str, make_body: Callable[[int], bytes], in_flight: int, seconds: float
) -> Load:
    host, _, port = target.partition(":")
    numbers = count()
    loop = asyncio.get_running_loop()
    headers = frames.call_headers(target, method)
    callers: list[_Caller] = []
    try:
        for _ in range(_CONNECTIONS):
            _, caller = await loop.create_connection(
                lambda: _Caller(headers, make_body, numbers, in_flight // _CONNECTIONS),
                host,
                int(port),
            )
            callers.append(caller)
        await _all_well(callers, _WARM_UP_SECONDS)
        for caller in callers:
            caller.took.clear()
        begin, cpu = time.perf_counter(), time.process_time()
        await _all_well(callers, seconds)
        lasted, used = time.perf_counter() - begin, time.process_time() - cpu
        took = [each for caller in callers for each in caller.took]
    finally:
        for caller in callers:
            caller.end()
    if not took:
        raise LoadError(f"No answer came from {target}{method}.")
    p50, p99 = p50_and_p99(took)
    return Load(len(took) / lasted, p50 * 1000, p99 * 1000, used / lasted)


async def _all_well(callers: list[_Caller], seconds: float) -> None:
    """Let the callers call for so long; raise what stops one of them."""
    ended = [caller.failure for caller in callers]
    done, _ = await asyncio.wait(ended, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        each.result()


class _Caller(asyncio.Protocol):
    """One connection that always has so many calls under way.

    `took` has the seconds of each call that was answered, `failure` ends with what went wrong.
    """

    def __init__(
        self,
        headers: bytes,
        make_body: Callable[[int], bytes],
        numbers: Iterator[int],
        in_flight: int,
    ) -> None:
        self.took: list[float] = []
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._headers = headers
        self._make_body = make_body
        self._numbers = numbers
        self._owed = in_flight
        self._window = frames.FIRST_WINDOW
        self._stream = 1
        self._begun: dict[int, float] = {}
        self._answered: set[int] = set()
        self._received = bytearray()
        self._taken = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(frames.opening())
        self._call()

    def connection_lost(self, _error: Exception | None) -> None:
        self._fail("The server closed the connection.")

    def data_received(self, data: bytes) -> None:
        self._received += data
        for each in frames.take_frames(self._received):
            self._take(each)
        self._call()

    def end(self) -> None:
        """Hang up."""
        if not self.failure.cancel():
            self.failure.exception()  # looked at, so that nobody complains: one was told already
        if self._transport is not None:
            self._transport.abort()

    def _take(self, taken: frames.Frame) -> None:
        if taken.kind == frames.DATA:
            self._answered.add(taken.stream)
            self._taken += len(taken.payload)
        elif taken.kind == frames.HEADERS and taken.flags & frames.END_STREAM:
            self._finish(taken.stream)
        elif taken.kind == frames.WINDOW_UPDATE and taken.stream == 0:
            self._window += struct.unpack(">I", taken.payload)[0]
        elif taken.kind == frames.SETTINGS and not taken.flags & frames.ACK:
            self._write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif taken.kind == frames.PING and not taken.flags & frames.ACK:
            self._write(frames.frame(frames.PING, frames.ACK, 0, taken.payload))
        elif taken.kind in {frames.RESET, frames.GO_AWAY}:
            self._fail(f"The server ended it: {taken}")

    def _finish(self, stream: int) -> None:
        # gRPC tells an error in the trailers alone: an answer without a message is none.
        if stream not in self._answered:
            self._fail("A call failed.")
            return
        self._answered.remove(stream)
        self.took.append(time.perf_counter() - self._begun.pop(stream))
        self._owed += 1

    def _call(self) -> None:
        """Make the calls that are owed, as far as the server lets us send."""
        parts = []
        if self._taken > _REPORT_WINDOW_EVERY:
            parts.append(frames.more_window(self._taken))
            self._taken = 0
        while self._owed and self._window >= frames.LARGEST_PAYLOAD:
            body = framed(self._make_body(next(self._numbers)))
            self._window -= len(body)
            self._owed -= 1
            stream, self._stream = self._stream, self._stream + 2
            parts.append(frames.frame(frames.HEADERS, frames.END_HEADERS, stream, self._headers))
            parts.append(frames.frame(frames.DATA, frames.END_STREAM, stream, body))
            self._begun[stream] = time.perf_counter()
        self._write(b"".join(parts))

    def _write(self, sent: bytes) -> None:
        if sent and self._transport is not None:
            self._transport.write(sent)

    def _fail(self, why: str) -> None:
        if not self.failure.done():
            self.failure.set_exception(LoadError(why))
