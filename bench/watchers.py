"""Subscribers of the event log."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.bodies import WATCH
from bench.light import BYTES, NUMBER, Field, light_message
from bench.load import LoadError
from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsRequest
from tocsin.api.alert.v1.event_pb2 import Position
from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

_PATIENCE_SECONDS = 120

# Of WatchEventsResponse what is counted; its events stay as they came.
_Message = light_message(
    "Watched",
    events=Field(1, BYTES, several=True),
    position=Field(3, BYTES),
    caught_up=Field(4, NUMBER),
)


class Followed(NamedTuple):
    """How many events came in all, over how many seconds, and the client's share of a core."""

    events: int
    seconds: float
    cores: float


class Watcher:
    """One subscriber, on a connection of its own, from a position on.

    `reached` is the last revision that it has read.
    """

    def __init__(self, target: str, after: Position) -> None:
        self.reached = after.revision
        self._channel = open_channel(target)
        self._asked = WatchEventsRequest(after=after).SerializeToString()
        self._call: grpc.aio.UnaryStreamCall[bytes, bytes] | None = None

    async def connect(self) -> None:
        """Connect, and ask nothing yet."""
        await self._channel.channel_ready()

    async def next(self) -> Any:
        """Return the next message. Raises LoadError when the stream has ended."""
        message = await self._asking().read()
        if not isinstance(message, bytes):
            raise LoadError("The stream of events has ended.")
        read = _Message.FromString(message)
        self.reached = Position.FromString(read.position).revision
        return read

    async def until_live(self) -> None:
        """Read until the server says that this was the end of the log."""
        while not (await self.next()).caught_up:
            pass

    async def count_until(self, revision: int) -> int:
        """Count the events up to this revision."""
        seen = 0
        while self.reached < revision:
            seen += len((await self.next()).events)
        return seen

    async def close(self) -> None:
        if self._call is not None:
            self._call.cancel()
        await self._channel.close()

    def _asking(self) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
        if self._call is None:
            call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
            call = self._channel.unary_stream(WATCH)
            self._call = call(self._asked)
        return self._call


@asynccontextmanager
async def watching(target: str, after: Position, number: int = 1) -> AsyncIterator[list[Watcher]]:
    """Give so many watchers that are connected; each asks when it is first read."""
    watchers = [Watcher(target, after) for _ in range(number)]
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(*(watcher.connect() for watcher in watchers))
            yield watchers
    finally:
        for watcher in watchers:
            await watcher.close()


def catch_up(target: str, epoch: str, after: int, head: int, number: int) -> Followed:
    """Let so many watchers read from a revision to the head. For a process of its own."""
    return asyncio.run(_catch_up(target, Position(epoch=epoch, revision=after), head, number))


async def _catch_up(target: str, after: Position, head: int, number: int) -> Followed:
    async with watching(target, after, number) as watchers:
        return await count_all(watchers, head)


async def count_all(watchers: list[Watcher], revision: int) -> Followed:
    """Let all of them count up to a revision."""
    begin, cpu = time.perf_counter(), time.process_time()
    counts = await asyncio.gather(*(each.count_until(revision) for each in watchers))
    lasted, used = time.perf_counter() - begin, time.process_time() - cpu
    return Followed(sum(counts), lasted, used / lasted)
