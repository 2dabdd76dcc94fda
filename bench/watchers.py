"""Subscribers of the event log."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from bench.load import LoadError
from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsRequest, WatchEventsResponse
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.api.alert.v1.event_pb2 import Position
from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PATIENCE_SECONDS = 120


class Followed(NamedTuple):
    """How many events came in all, over how many seconds, and the client's share of a core."""

    events: int
    seconds: float
    cores: float


class Watcher:
    """One subscriber, on a connection of its own, from a position on."""

    def __init__(self, target: str, after: Position) -> None:
        self._channel = open_channel(target)
        self._call = AlertServiceStub(self._channel).WatchEvents(WatchEventsRequest(after=after))

    async def next(self) -> WatchEventsResponse:
        """Return the next message. Raises LoadError when the stream has ended."""
        message = await self._call.read()
        if not isinstance(message, WatchEventsResponse):
            raise LoadError("The stream of events has ended.")
        return message

    async def until_live(self) -> None:
        """Read until the server says that this was the end of the log."""
        while not (await self.next()).caught_up:
            pass

    async def count_until(self, revision: int) -> int:
        """Count the events up to this revision."""
        seen = reached = 0
        while reached < revision:
            message = await self.next()
            seen += len(message.events)
            reached = message.position.revision
        return seen

    async def close(self) -> None:
        self._call.cancel()
        await self._channel.close()


@asynccontextmanager
async def watching(target: str, after: Position, number: int = 1) -> AsyncIterator[list[Watcher]]:
    """Give so many watchers."""
    watchers = [Watcher(target, after) for _ in range(number)]
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
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


async def lateness(watcher: Watcher, name: str, count: int) -> list[float]:
    """Return by how many milliseconds each of so many events came after its moment was due.

    Only those of hosts whose id begins with `name`; their messages are those of `raise_steadily`.
    """
    late: list[float] = []
    while len(late) < count:
        message = await watcher.next()
        now = time.monotonic_ns()
        mine = (each.alert for each in message.events if each.alert.host_id.startswith(name))
        late += [(now - due) / 1e6 for each in mine if (due := int(each.message))]
    return late
