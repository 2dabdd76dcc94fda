"""Pages for subscribers that catch up: each read once, whoever asks for it at about that time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.eventlog import following, new_entry, revisions, write
from support.statements import RecordingDatabase
from tocsin.alert.eventlog import log
from tocsin.alert.rpc.pages import Pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from support.eventlog import Follower

pytestmark = pytest.mark.postgres

NEVER = timedelta(hours=1)
LIMIT = 10
PLENTY = 2**20


@pytest.fixture
async def recording(alert_url: str) -> AsyncIterator[RecordingDatabase]:
    database = RecordingDatabase(alert_url)
    yield database
    await database.close()


@pytest.fixture
async def follower(recording: RecordingDatabase) -> AsyncIterator[Follower]:
    async with following(recording, poll=NEVER) as follower:
        yield follower


def page_reads(database: RecordingDatabase) -> int:
    return sum("payloads" in each.query for each in database.statements)


def pages_of(database: RecordingDatabase, follower: Follower) -> Pages:
    return Pages(database, follower.broadcast, entries=LIMIT, max_bytes=PLENTY)


async def read_to(pages: Pages, epoch: UUID, after: int, head: int) -> list[int]:
    """Read as a subscriber does that is behind, page after page."""
    seen: list[int] = []
    while after < head:
        run, _ = await pages.after(epoch, after)
        seen += revisions(run.entries)
        after = run.last
    return seen


async def test_subscribers_that_catch_up_together_read_each_page_once(
    recording: RecordingDatabase, follower: Follower
) -> None:
    """They begin anywhere: pages end at the same places all the same."""
    await write(recording, 6 * LIMIT)
    epoch, pages = follower.broadcast.epoch, pages_of(recording, follower)
    assert epoch is not None
    before = page_reads(recording)
    starts = [0, 0, 0, 0, 3, 3, 7]
    seen = await asyncio.gather(*(read_to(pages, epoch, start, 6 * LIMIT - 1) for start in starts))
    assert [list(range(start + 1, 6 * LIMIT + 1)) for start in starts] == seen
    first_pages, others = len(set(starts)), 4
    ends = len(starts)  # the page that ends at the head of the log is never kept
    assert page_reads(recording) - before <= first_pages + others + ends


async def test_a_reader_that_is_cancelled_leaves_the_page_to_the_next(
    recording: RecordingDatabase, follower: Follower
) -> None:
    await write(recording, 2 * LIMIT)
    epoch, pages = follower.broadcast.epoch, pages_of(recording, follower)
    assert epoch is not None
    leaving = asyncio.create_task(pages.after(epoch, 0))
    staying = asyncio.create_task(pages.after(epoch, 0))
    await asyncio.sleep(0)
    leaving.cancel()
    run, head = await staying
    assert (LIMIT, 2 * LIMIT) == (run.last, head)


async def test_the_end_of_the_log_is_read_anew_and_says_so(
    recording: RecordingDatabase, follower: Follower
) -> None:
    await write(recording, 3)
    epoch, pages = follower.broadcast.epoch, pages_of(recording, follower)
    assert epoch is not None
    assert 3 == (await pages.after(epoch, 0))[0].last
    await write(recording, 2)
    run, head = await pages.after(epoch, 0)
    assert (5, 5) == (run.last, head)


async def test_what_this_process_has_committed_is_published_without_reading_it_back(
    recording: RecordingDatabase, follower: Follower
) -> None:
    before = page_reads(recording)
    for revision in range(1, 6):
        async with recording.transaction() as connection:
            appended = await log.append(connection, [new_entry(payload=b"\x3a\x01x")])
        follower.tail.take(appended)
        assert revision == follower.broadcast.head
    assert before == page_reads(recording)
    run = follower.broadcast.after(0, 100, PLENTY)
    assert run is not None
    async with recording.connection() as connection:
        assert (await log.read(connection, 0, 100)).entries == run.entries


async def test_what_others_committed_before_an_own_commit_is_read_and_nothing_comes_twice(
    recording: RecordingDatabase, follower: Follower
) -> None:
    await write(recording, 2)
    async with recording.transaction() as connection:
        appended = await log.append(connection, [new_entry()])
    follower.tail.take(appended)
    async with asyncio.timeout(30):
        while (changed := follower.broadcast.changed) and follower.broadcast.head < 3:
            await changed.wait()
    run = follower.broadcast.after(0, 100, PLENTY)
    assert run is not None
    assert [1, 2, 3] == revisions(run.entries)
