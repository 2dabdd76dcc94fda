"""A receiver of webhooks that costs next to nothing: it takes a POST and answers 204."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Arrivals:
    """What came: the body of each request, and when (`time.monotonic_ns`)."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.moments: list[int] = []
        self._wanted = 0
        self._enough = asyncio.Event()

    def take(self, body: bytes) -> None:
        self.moments.append(time.monotonic_ns())
        self.bodies.append(body)
        if len(self.bodies) >= self._wanted:
            self._enough.set()

    def clear(self) -> None:
        """Forget what came."""
        self.bodies.clear()
        self.moments.clear()

    async def wait_for(self, count: int, seconds: float = 120) -> None:
        """Return once so many have come. Raises TimeoutError."""
        self._wanted = count
        self._enough.clear()
        if len(self.bodies) < count:
            async with asyncio.timeout(seconds):
                await self._enough.wait()

    def lateness(self) -> list[float]:
        """Return by how many milliseconds each came after its moment was due.

        The messages of the alerts are those of `raise_steadily`.
        """
        late = []
        for body, moment in zip(self.bodies, self.moments, strict=True):
            due = int(json.loads(body)["data"]["alert"]["message"])
            if due:
                late.append((moment - due) / 1e6)
        return late


class Connection(asyncio.Protocol):
    """One connection of a sender."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (body := self._take_body()) is not None:
            self._arrivals.take(body)
            if self._transport is not None:
                self._transport.write(_ANSWER)

    def _take_body(self) -> bytes | None:
        begin = self._received.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(self._received, 0, begin)
        if begin < 4 or length is None:
            return None
        end = begin + int(length[1])
        if len(self._received) < end:
            return None
        body = bytes(self._received[begin:end])
        del self._received[:end]
        return body


@asynccontextmanager
async def receiving() -> AsyncIterator[Arrivals]:
    """Listen on a free port of this machine. `url` is where."""
    arrivals = Arrivals()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(arrivals), "127.0.0.1", 0)
    arrivals.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/bench"
    try:
        yield arrivals
    finally:
        server.close()
