"""The event log on a real server: revisions without a gap, in commit order, read page by page."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from support.eventlog import new_entry, revisions, write
from support.waiting import Recorder
from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog import identity, log
from tocsin.alert.eventlog.frames import framing
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

WRITERS = 12
TRANSACTIONS = 25
SEED = 7


@pytest.fixture
async def epoch(alert_database: Database) -> UUID:
    return await identity.settle(alert_database, uuid7)


@pytest.fixture
async def connection(alert_database: Database, epoch: UUID) -> AsyncIterator[asyncpg.Connection]:
    async with alert_database.connection() as connection:
        yield connection


async def test_revisions_begin_at_1_and_follow_each_other(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    assert range(1, 4) == await write(alert_database, 3)
    assert range(4, 5) == await write(alert_database)
    page = await log.read(connection, 0, 100)
    assert [1, 2, 3, 4] == revisions(page.entries)


async def test_an_entry_comes_back_as_it_was_written(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    new = new_entry(uuid4(), host_id="hôte", kind="check_failed", severity=3, type=6, payload=b"\0")
    async with alert_database.transaction() as writing:
        await log.append(writing, [new])
    page = await log.read(connection, 0, 100)
    assert (
        log.Entry(1, "hôte", "check_failed", 3, 6, framing(page.epoch)(1, b"\0")),
    ) == page.entries
    assert [log.Record(1, b"\0")] == await log.timeline(connection, new.alert_id, 0, 100)


async def test_what_was_appended_is_what_is_read(
    alert_database: Database, connection: asyncpg.Connection, epoch: UUID
) -> None:
    await write(alert_database, 2)
    async with alert_database.transaction() as writing:
        news = [new_entry(host_id=f"host-{number}", payload=b"x" * number) for number in range(3)]
        appended = await log.append(writing, news)
    assert (range(3, 6), epoch) == (appended.revisions, appended.epoch)
    assert appended.entries == (await log.read(connection, 2, 100)).entries


async def test_what_is_appended_to_a_log_that_moved_has_revisions_but_no_position(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE log_identity SET timeline = timeline + 1")
    async with alert_database.transaction() as writing:
        assert log.Appended(range(1, 2)) == await log.append(writing, [new_entry()])


async def test_appending_nothing_gives_no_revision_and_takes_no_lock(
    alert_database: Database,
) -> None:
    async with alert_database.transaction() as holder, alert_database.transaction() as other:
        await log.append(holder, [new_entry()])
        assert log.Appended(range(0)) == await log.append(other, [])


async def test_a_transaction_that_rolls_back_leaves_no_gap(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    await write(alert_database)
    with suppress(asyncpg.DivisionByZeroError):
        async with alert_database.transaction() as writing:
            await log.append(writing, [new_entry()])
            await writing.execute("SELECT 1 / 0")
    assert range(2, 3) == await write(alert_database)
    assert [1, 2] == revisions((await log.read(connection, 0, 100)).entries)


async def test_whoever_reads_while_many_write_sees_every_event_once_in_order(
    alert_url: str, alert_database: Database, epoch: UUID
) -> None:
    """Each writer has its own connection; some transactions linger, and some roll back."""
    writing = asyncio.gather(*(_write_many(alert_url, number) for number in range(WRITERS)))
    seen: list[log.Entry] = []
    async with alert_database.connection() as reading:
        while not writing.done():
            seen += await _next(reading, seen)
        written = await writing
        seen += await _next(reading, seen)
    assert list(range(1, len(seen) + 1)) == revisions(seen)
    hosts = sorted(str(alert_id) for ids in written for alert_id in ids)
    assert hosts == sorted(entry.host_id for entry in seen)


async def _next(reading: asyncpg.Connection, seen: list[log.Entry]) -> tuple[log.Entry, ...]:
    page = await log.read(reading, seen[-1].revision if seen else 0, 10_000)
    return page.entries


async def _write_many(url: str, number: int) -> list[UUID]:
    """Write from one connection and return the alerts of the events that were committed."""
    chance = random.Random(SEED + number)
    written = []
    connection = await asyncpg.connect(url)
    try:
        for _ in range(TRANSACTIONS):
            ids = [uuid4() for _ in range(chance.randint(1, 4))]
            transaction = connection.transaction()
            await transaction.start()
            await log.append(connection, [new_entry(each, host_id=str(each)) for each in ids])
            await connection.execute("SELECT pg_sleep($1)", chance.choice([0, 0, 0.003]))
            if chance.random() < 0.1:
                await transaction.rollback()
                continue
            await transaction.commit()
            written += ids
    finally:
        await connection.close()
    return written


async def test_a_page_is_one_statement(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    await write(alert_database, 5)
    await log.read(connection, 2, 100)  # the driver asks once for each type of list
    statements = Recorder[str]()
    connection.add_query_logger(lambda record: statements(record.query))
    await log.read(connection, 2, 100)
    await log.read(connection, 5, 100)
    await connection.execute("SELECT 'the end'")
    seen = await statements.until(lambda queries: "SELECT 'the end'" in queries)
    assert 3 == len(seen)


async def test_a_page_has_the_bounds_of_the_log_also_when_it_is_empty(
    alert_database: Database, connection: asyncpg.Connection, epoch: UUID
) -> None:
    assert log.Page(epoch, oldest=1, head=0, entries=()) == await log.read(connection, 0, 100)
    await write(alert_database, 5)
    at_end = await log.read(connection, 5, 100)
    assert (epoch, 5, ()) == (at_end.epoch, at_end.head, at_end.entries)


async def test_a_page_is_bounded_by_count_and_by_bytes_but_never_empty(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    await write(alert_database, 10, payload=b"x" * 100)
    assert [3, 4, 5] == revisions((await log.read(connection, 2, 3)).entries)
    assert [3, 4, 5] == revisions((await log.read(connection, 2, 100, 250)).entries)
    assert [3] == revisions((await log.read(connection, 2, 100, 1)).entries)


async def test_a_page_whose_beginning_is_gone_names_the_oldest_kept(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    await write(alert_database, 10)
    await connection.execute("DELETE FROM events WHERE revision <= 4")
    assert 5 == (await log.read(connection, 2, 100)).oldest
    assert 5 == (await log.bounds(connection)).oldest


async def test_reading_on_from_any_position_gives_exactly_the_rest(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    await write(alert_database, 50)
    chance = random.Random(SEED)
    for after in [0, 49, 50, *(chance.randrange(50) for _ in range(20))]:
        rest: list[int] = []
        while page := (await log.read(connection, (rest or [after])[-1], 7)).entries:
            rest += revisions(page)
        assert list(range(after + 1, 51)) == rest


async def test_the_head_is_the_position_of_the_newest_event(
    alert_database: Database, connection: asyncpg.Connection, epoch: UUID
) -> None:
    assert Position(epoch, 0) == await log.head(connection)
    await write(alert_database, 3)
    assert Position(epoch, 3) == await log.head(connection)


async def test_the_timeline_of_an_alert_has_its_events_only_and_goes_on_after_a_revision(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    mine, other = uuid4(), uuid4()
    for alert_id in (mine, other, mine, mine, other):
        await write(alert_database, alert_id=alert_id)
    assert [1, 3, 4] == revisions(await log.timeline(connection, mine, 0, 100))
    assert [1, 3] == revisions(await log.timeline(connection, mine, 0, 2))
    assert [4] == revisions(await log.timeline(connection, mine, 3, 100))
    assert [] == await log.timeline(connection, uuid4(), 0, 100)


async def test_an_open_snapshot_of_the_database_does_not_stop_the_writers(
    alert_database: Database, connection: asyncpg.Connection
) -> None:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        before = await log.head(connection)
        assert range(1, 3) == await write(alert_database, 2)
        assert before == await log.head(connection)
