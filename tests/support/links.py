"""A TCP link to a server on this machine, which can be cut, stalled, slowed and half opened."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

_CHUNK_BYTES = 64 << 10
SLOW_SECONDS = 0.1
"""What a slow link adds to each piece on its way."""


@dataclass(eq=False)
class _Wire:
    """One connection through the link: its two ends."""

    ends: tuple[StreamWriter, StreamWriter]
    is_dead: bool = False

    def abort(self) -> None:
        for end in self.ends:
            end.transport.abort()


@dataclass
class Link:
    """Forwards whatever connects to `port` to a port of 127.0.0.1, until it is harmed."""

    to: int
    port: int = 0
    systems_ask_for: float | None = None
    """After so many seconds the systems at both ends find a dead connection out, if they ask at all
    (TCP keepalive). Here they would not: the link itself answers them."""
    given_up: int = 0
    """How many ends of dead connections have found out by themselves."""
    _wires: set[_Wire] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _delay: float = 0.0
    _is_cut: bool = False

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break every connection, and each new one at once."""
        self._is_cut = True
        for wire in set(self._wires):
            wire.abort()

    def stall(self) -> None:
        """Forward nothing, nor lose anything. Whoever connects is taken, and hears nothing."""
        self._flowing.clear()

    def slow(self) -> None:
        """Let each piece wait."""
        self._delay = SLOW_SECONDS

    def half_open(self) -> None:
        """Let every connection that there is die without a word. New ones are well."""
        for wire in self._wires:
            wire.is_dead = True
            if self.systems_ask_for is not None:
                asyncio.get_running_loop().call_later(self.systems_ask_for, wire.abort)

    def heal(self) -> None:
        """End all that was done, except that the dead stay dead."""
        self._is_cut = False
        self._delay = 0.0
        self._flowing.set()

    async def take(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection until both of its ends have ended."""
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        wire = _Wire((writer, far_writer))
        self._wires.add(wire)
        try:
            await asyncio.gather(
                self._pump(wire, reader, far_writer), self._pump(wire, far_reader, writer)
            )
        finally:
            self._wires.discard(wire)
            wire.abort()

    async def _pump(self, wire: _Wire, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._flowing.wait()
                await asyncio.sleep(self._delay)
                if not wire.is_dead:
                    writer.write(chunk)
                    await writer.drain()
        await self._flowing.wait()
        if wire.is_dead:  # the other end is not even told that this one has left
            self.given_up += 1
        else:
            wire.abort()

    def end(self) -> None:
        """Break everything for good."""
        self.cut()
        self._flowing.set()


@asynccontextmanager
async def linked_to(port: int) -> AsyncIterator[Link]:
    """Run a link to a port of 127.0.0.1."""
    link = Link(port)
    link.heal()
    server = await asyncio.start_server(link.take, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        server.close()
        link.end()
        await server.wait_closed()
