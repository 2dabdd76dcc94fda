"""Calls whose requests do not end: HTTP/2 by hand, as no client library would speak it.

Frames are those of https://www.rfc-editor.org/rfc/rfc9113#section-6, headers literal and without
Huffman (https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2).
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING = 0, 1, 3, 4, 6
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_MEBIBYTE = 1 << 20


class HalfCalls:
    """Calls on one connection. `ended` has the numbers of those that the server has ended."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ended: set[int] = set()
        self._reader = reader
        self._writer = writer
        self._next = 1
        writer.write(_PREFACE + _frame(_SETTINGS, 0, 0))

    async def begin(self, method: str, *headers: tuple[str, str]) -> int:
        """Begin a call with a request of 1 MiB, send ten bytes of it, and return its number."""
        number, self._next = self._next, self._next + 2
        given = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *headers,
        ]
        block = b"".join(_literal(name.encode(), value.encode()) for name, value in given)
        self._writer.write(_frame(_HEADERS, _END_HEADERS, number, block))
        prefix = b"\0" + struct.pack(">I", _MEBIBYTE)
        self._writer.write(_frame(_DATA, 0, number, prefix + b"x" * 10))
        await self._writer.drain()
        return number

    async def listen(self) -> None:
        """Note what the server ends, until the connection does."""
        while True:
            head = await self._reader.readexactly(9)
            kind, flags = head[3], head[4]
            number = int.from_bytes(head[5:9], "big")
            payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
            if kind in {_SETTINGS, _PING} and not flags & _ACK:
                answer = payload if kind == _PING else b""
                self._writer.write(_frame(kind, _ACK, 0, answer))
            elif kind == _RST_STREAM or (kind == _HEADERS and flags & _END_STREAM):
                self.ended.add(number)


@asynccontextmanager
async def half_calls(port: int) -> AsyncIterator[HalfCalls]:
    """Connect to a server on this machine until the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    calls = HalfCalls(reader, writer)
    listening = asyncio.create_task(calls.listen())
    try:
        yield calls
    finally:
        listening.cancel()
        writer.close()
        await asyncio.gather(listening, return_exceptions=True)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
