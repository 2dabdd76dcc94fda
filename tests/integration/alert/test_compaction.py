"""The oldest events are deleted, in small batches, and never out of order."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.clock import START
from support.eventlog import new_entry, write
from support.waiting import eventually
from tocsin.alert.eventlog import log
from tocsin.alert.eventlog.compaction import COMPACTION_LOCK, Compaction, Retention

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

WEEK = timedelta(days=7)
OLD = START - WEEK - timedelta(seconds=1)
YOUNG = START - WEEK


def compaction(
    database: Database, clock: ManualClock, *, revisions: int = 1, batch: int = 1_000
) -> Compaction:
    return Compaction(database, clock=clock, retention=Retention(WEEK, revisions), batch=batch)


async def kept(database: Database) -> list[int]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT revision FROM events ORDER BY revision")
    return [row[0] for row in rows]


async def test_an_event_is_kept_while_it_is_young(
    alert_database: Database, clock: ManualClock
) -> None:
    await write(alert_database, 3, record_time=OLD)
    await write(alert_database, 2, record_time=YOUNG)
    assert 3 == await compaction(alert_database, clock).compact()
    assert [4, 5] == await kept(alert_database)


async def test_an_event_is_kept_while_it_is_among_the_newest(
    alert_database: Database, clock: ManualClock
) -> None:
    await write(alert_database, 10, record_time=OLD)
    assert 6 == await compaction(alert_database, clock, revisions=4).compact()
    assert [7, 8, 9, 10] == await kept(alert_database)


async def test_the_newest_event_is_always_kept_so_that_revisions_go_on_from_it(
    alert_database: Database, clock: ManualClock
) -> None:
    await write(alert_database, 10, record_time=OLD)
    await compaction(alert_database, clock, revisions=0).compact()
    assert [10] == await kept(alert_database)
    assert range(11, 12) == await write(alert_database)


async def test_an_old_event_after_a_young_one_stays_so_that_no_gap_appears(
    alert_database: Database, clock: ManualClock
) -> None:
    for record_time in (OLD, OLD, YOUNG, OLD, YOUNG):
        await write(alert_database, record_time=record_time)
    assert 2 == await compaction(alert_database, clock).compact()
    assert [3, 4, 5] == await kept(alert_database)


async def test_an_empty_log_is_left_alone(alert_database: Database, clock: ManualClock) -> None:
    assert 0 == await compaction(alert_database, clock).compact()


async def test_it_deletes_in_small_transactions(
    alert_database: Database, clock: ManualClock
) -> None:
    await write(alert_database, 25, record_time=OLD)
    async with alert_database.connection() as connection:
        await connection.execute(
            "CREATE TABLE batches (size bigint);"
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO batches SELECT count(*) FROM gone; RETURN NULL; END $$;"
            "CREATE TRIGGER note AFTER DELETE ON events REFERENCING OLD TABLE AS gone"
            " FOR EACH STATEMENT EXECUTE FUNCTION note();"
        )
    assert 24 == await compaction(alert_database, clock, batch=10).compact()
    async with alert_database.connection() as connection:
        sizes = await connection.fetch("SELECT size FROM batches WHERE size > 0")
    assert [10, 10, 4] == [row[0] for row in sizes]


async def test_one_server_at_a_time_compacts(alert_database: Database, clock: ManualClock) -> None:
    await write(alert_database, 5, record_time=OLD)
    async with alert_database.transaction() as other:
        await other.execute("SELECT pg_advisory_xact_lock($1)", COMPACTION_LOCK)
        assert 0 == await compaction(alert_database, clock).compact()
    assert 4 == await compaction(alert_database, clock).compact()


async def test_a_writer_that_holds_the_log_does_not_wait_for_it_nor_it_for_the_writer(
    alert_database: Database, clock: ManualClock
) -> None:
    await write(alert_database, 5, record_time=OLD)
    async with alert_database.transaction() as writer:
        await log.append(writer, [new_entry()])
        assert 4 == await compaction(alert_database, clock).compact()
    assert [5, 6] == await kept(alert_database)


async def test_it_goes_on_in_the_background_as_time_passes(
    alert_database: Database, clock: ManualClock
) -> None:
    await write(alert_database, 5, record_time=START)
    running = Compaction(
        alert_database,
        clock=clock,
        retention=Retention(WEEK, 2),
        interval=timedelta(milliseconds=10),
    )
    await running.start()
    try:
        clock.advance(WEEK + timedelta(seconds=1))
        await eventually(lambda: _has(alert_database, [4, 5]))
    finally:
        await running.stop()


async def _has(database: Database, wanted: list[int]) -> bool:
    return await kept(database) == wanted
