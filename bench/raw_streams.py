"""Streams of a server over plain HTTP/2, each on a connection of its own: they cost little."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bench import frames
from bench.bodies import framed
from bench.load import LoadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Take = Callable[[bytes], None]

_AT_A_TIME = 50
_OPEN_SECONDS = 60
_PREFIX = struct.Struct(">BI")  # of a gRPC message: whether it is compressed, its length


class _Stream(asyncio.Protocol):
    """One connection with one call. `told` ends with the first message, or with what went wrong."""

    def __init__(self, headers: bytes, request: bytes, take: Take, flags: int) -> None:
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._opening = (
            frames.opening()
            + frames.frame(frames.HEADERS, frames.END_HEADERS, 1, headers)
            + frames.frame(frames.DATA, flags, 1, framed(request))
        )
        self._take_message = take
        self._received = bytearray()
        self._messages = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._opening)

    def connection_lost(self, _error: Exception | None) -> None:
        self._fail()

    def data_received(self, data: bytes) -> None:
        self._received += data
        for each in frames.take_frames(self._received):
            self._take(each)
        self._take_messages()

    def _take(self, taken: frames.Frame) -> None:
        assert self.transport is not None
        is_answer = bool(taken.flags & frames.ACK)
        if taken.kind == frames.DATA:
            self._messages += taken.payload
        elif taken.kind == frames.SETTINGS and not is_answer:
            self.transport.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif taken.kind == frames.PING and not is_answer:
            self.transport.write(frames.frame(frames.PING, frames.ACK, 0, taken.payload))
        elif taken.kind in {frames.RESET, frames.GO_AWAY} or (
            taken.kind == frames.HEADERS and taken.flags & frames.END_STREAM
        ):
            self._fail()

    def _take_messages(self) -> None:
        at = 0
        while len(self._messages) - at >= _PREFIX.size:
            begin = at + _PREFIX.size
            end = begin + _PREFIX.unpack_from(self._messages, at)[1]
            if len(self._messages) < end:
                break
            self._take_message(bytes(self._messages[begin:end]))
            at = end
        del self._messages[:at]
        if at and not self.told.done():
            self.told.set_result(None)

    def _fail(self) -> None:
        if not self.told.done():
            self.told.set_exception(LoadError("A stream ended before its first message."))


@asynccontextmanager
async def raw_streams(
    target: str,
    method: str,
    request: bytes,
    number: int,
    take: Take,
    *,
    half_open: bool = False,
) -> AsyncIterator[None]:
    """Hold so many calls of a method, all of which have had a message; `take` is given each.

    `half_open`: the request stays open, as a stream of requests needs.
    """
    host, _, port = target.partition(":")
    headers = frames.call_headers(target, method)
    flags = 0 if half_open else frames.END_STREAM
    loop = asyncio.get_running_loop()
    streams: list[_Stream] = []
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            while len(streams) < number:
                some = [
                    loop.create_connection(
                        lambda: _Stream(headers, request, take, flags), host, int(port)
                    )
                    for _ in range(min(_AT_A_TIME, number - len(streams)))
                ]
                opened = [stream for _, stream in await asyncio.gather(*some)]
                streams += opened
                await asyncio.gather(*(stream.told for stream in opened))
        yield
    finally:
        for stream in streams:
            if stream.transport is not None:
                stream.transport.abort()
