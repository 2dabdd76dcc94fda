"""One subscriber, against a broadcast in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.eventlog import EPOCH, entries, revisions
from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.rpc.subscriber import Subscriber, WatchLimits, WatchMessage
from tocsin.common.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

    from tocsin.alert.eventlog.log import Entry

HEAD = 10
LIMITS = WatchLimits(bookmark_every=timedelta(hours=1), write_patience=timedelta(milliseconds=50))


async def no_page(epoch: UUID, after: int) -> tuple[tuple[Entry, ...], int]:
    raise AssertionError(f"revision {after} should be in the broadcast")


def opened() -> Broadcast:
    broadcast = Broadcast()
    broadcast.open(EPOCH, HEAD)
    broadcast.is_live = True
    return broadcast


@asynccontextmanager
async def subscribed(
    broadcast: Broadcast,
    write: Callable[[WatchMessage], Awaitable[None]],
    *,
    wanted: EventFilter | None = None,
) -> AsyncIterator[None]:
    subscriber = Subscriber(
        broadcast, no_page, write, limits=LIMITS, wanted=wanted or EventFilter()
    )
    task = asyncio.create_task(subscriber.follow(Position(EPOCH, HEAD)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_events_that_come_while_a_bookmark_is_written_follow_it_at_once() -> None:
    broadcast = opened()
    written: asyncio.Queue[WatchMessage] = asyncio.Queue()

    async def write(message: WatchMessage) -> None:
        if not message.entries:
            broadcast.publish(entries(HEAD + 1, HEAD + 2))
        await written.put(message)

    async with asyncio.timeout(5), subscribed(broadcast, write):
        bookmark, events = await written.get(), await written.get()
    assert (HEAD, ()) == (bookmark.position.revision, bookmark.entries)
    assert [HEAD + 1, HEAD + 2] == revisions(events.entries)


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

    async def write(_message: WatchMessage) -> None: ...

    async with asyncio.timeout(5), subscribed(broadcast, write, wanted=WantsNothing()):
        while await reached.get() < head:
            assert reached.qsize() <= 1


async def test_a_write_that_is_not_taken_in_time_ends_the_stream() -> None:
    async def write(_message: WatchMessage) -> None:
        await asyncio.Event().wait()

    subscriber = Subscriber(opened(), no_page, write, limits=LIMITS, wanted=EventFilter())
    with pytest.raises(ResourceExhaustedError) as caught:
        await subscriber.follow(Position(EPOCH, HEAD))
    assert "SLOW_SUBSCRIBER" == caught.value.reason


async def test_a_write_that_fails_by_itself_is_not_taken_for_a_slow_one() -> None:
    async def write(_message: WatchMessage) -> None:
        raise TimeoutError("of the transport")

    subscriber = Subscriber(opened(), no_page, write, limits=LIMITS, wanted=EventFilter())
    with pytest.raises(TimeoutError, match="of the transport"):
        await subscriber.follow(Position(EPOCH, HEAD))
