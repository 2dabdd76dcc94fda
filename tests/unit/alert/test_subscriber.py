"""One subscriber, against a broadcast in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.eventlog import EPOCH, entries, events
from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.broadcast import Broadcast, Cursor
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.rpc.subscriber import Subscriber, WatchLimits
from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsResponse
from tocsin.common.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

    from tocsin.alert.eventlog.log import Entry
    from tocsin.alert.eventlog.run import Run

HEAD = 10
LIMITS = WatchLimits(bookmark_every=timedelta(hours=1), write_patience=timedelta(milliseconds=50))


async def no_page(epoch: UUID, after: int) -> tuple[Run, int]:
    raise AssertionError(f"revision {after} should be in the broadcast")


def opened() -> Broadcast:
    broadcast = Broadcast(max_entries=100 * LIMITS.entries)
    broadcast.open(EPOCH, HEAD)
    broadcast.is_live = True
    return broadcast


@asynccontextmanager
async def subscribed(
    broadcast: Broadcast,
    write: Callable[[bytes], Awaitable[None]],
    *,
    wanted: EventFilter | None = None,
) -> AsyncIterator[None]:
    subscriber = Subscriber(
        broadcast, no_page, write, limits=LIMITS, wanted=wanted or EventFilter()
    )
    task = asyncio.create_task(subscriber.follow(Position(EPOCH, HEAD), Cursor()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_events_that_come_while_a_bookmark_is_written_follow_it_at_once() -> None:
    broadcast = opened()
    written: asyncio.Queue[WatchEventsResponse] = asyncio.Queue()

    async def write(message: bytes) -> None:
        response = WatchEventsResponse.FromString(message)
        if not response.events:
            broadcast.publish(events(HEAD + 1, HEAD + 2))
        await written.put(response)

    async with asyncio.timeout(5), subscribed(broadcast, write):
        bookmark, following = await written.get(), await written.get()
    assert HEAD == bookmark.position.revision
    assert [HEAD + 1, HEAD + 2] == [each.position.revision for each in following.events]


async def test_passing_over_unwanted_events_leaves_room_for_others() -> None:
    """A long run of them is no reason to keep the event loop from everybody else."""
    broadcast = opened()
    head = HEAD + 10 * LIMITS.entries
    broadcast.publish(entries(HEAD + 1, head))
    reached: asyncio.Queue[int] = asyncio.Queue()

    class WantsNothing(EventFilter):
        def pick(self, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
            reached.put_nowait(entries[-1].revision if entries else head)
            return ()

    async def write(_message: bytes) -> None: ...

    wanted = WantsNothing(min_severity=1)
    async with asyncio.timeout(5), subscribed(broadcast, write, wanted=wanted):
        while await reached.get() < head:
            assert reached.qsize() <= 1


async def test_a_write_that_is_not_taken_in_time_ends_the_stream() -> None:
    async def write(_message: bytes) -> None:
        await asyncio.Event().wait()

    subscriber = Subscriber(opened(), no_page, write, limits=LIMITS, wanted=EventFilter())
    with pytest.raises(ResourceExhaustedError) as caught:
        await subscriber.follow(Position(EPOCH, HEAD), Cursor())
    assert "SLOW_SUBSCRIBER" == caught.value.reason


async def test_a_write_that_fails_by_itself_is_not_taken_for_a_slow_one() -> None:
    async def write(_message: bytes) -> None:
        raise TimeoutError("of the transport")

    subscriber = Subscriber(opened(), no_page, write, limits=LIMITS, wanted=EventFilter())
    with pytest.raises(TimeoutError, match="of the transport"):
        await subscriber.follow(Position(EPOCH, HEAD), Cursor())
