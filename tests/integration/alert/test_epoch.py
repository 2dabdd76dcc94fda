"""The epoch: it stays while the log stays where it is, and changes when the log was restored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.eventlog import OTHER_EPOCH, revisions, write
from tocsin.alert.eventlog import identity, log
from tocsin.common.ids import uuid7
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from support.postgres import PostgresServer

pytestmark = pytest.mark.postgres


async def settle(database: Database) -> str:
    return str(await identity.settle(database, uuid7))


async def test_a_log_that_was_never_opened_is_not_read(alert_database: Database) -> None:
    async with alert_database.connection() as connection:
        for reading in (
            log.read(connection, 0, 10),
            log.head(connection),
            log.bounds(connection),
        ):
            with pytest.raises(identity.UnsettledLogError):
                await reading


async def test_the_epoch_stays_while_the_log_stays_where_it_is(alert_database: Database) -> None:
    assert await settle(alert_database) == await settle(alert_database)


async def test_several_servers_that_start_at_once_agree(
    alert_url: str, alert_database: Database
) -> None:
    other = Database(alert_url, application_name="another server")
    try:
        found = await asyncio.gather(*(settle(each) for each in (alert_database, other) * 4))
    finally:
        await other.close()
    assert 1 == len(set(found))


@pytest.mark.parametrize(
    "moved",
    [
        "system_identifier = '1' || system_identifier",
        "timeline = timeline + 1",
    ],
)
async def test_a_log_found_on_another_cluster_or_timeline_is_not_read_until_it_has_a_new_epoch(
    alert_database: Database, moved: str
) -> None:
    before = await settle(alert_database)
    await write(alert_database, 3)
    async with alert_database.connection() as connection:
        await connection.execute(f"UPDATE log_identity SET {moved}")
        with pytest.raises(identity.UnsettledLogError):
            await log.read(connection, 0, 10)
        after = await settle(alert_database)
        page = await log.read(connection, 0, 10)
    assert before != after
    assert after == str(page.epoch)
    assert [1, 2, 3] == revisions(page.entries)


async def test_a_dump_restored_into_another_database_has_a_new_epoch(
    alert_database: Database, postgres_server: PostgresServer
) -> None:
    """The system identifier and the timeline are the same there."""
    before = await settle(alert_database)
    await write(alert_database, 3)
    name, url = await postgres_server.fresh_database("alert")
    restored = Database(url, application_name="restored")
    try:
        await _copy(alert_database, restored)
        assert before != await settle(restored)
        async with restored.connection() as connection:
            assert 3 == (await log.head(connection)).revision
    finally:
        await restored.close()
        await postgres_server.drop_database(name)


async def _copy(source: Database, target: Database) -> None:
    async with source.connection() as reading, target.connection() as writing:
        for table in ("log_identity", "events"):
            rows = await reading.fetch(f"SELECT * FROM {table}")
            await writing.copy_records_to_table(table, records=[tuple(row) for row in rows])


async def test_an_operator_can_renew_the_epoch_of_a_restore_that_left_no_trace(
    alert_database: Database,
) -> None:
    before = await identity.settle(alert_database, uuid7)
    renewed = await identity.renew(alert_database, uuid7)
    assert before != renewed
    assert renewed == await identity.settle(alert_database, uuid7)


async def test_of_several_servers_that_renew_one_epoch_only_the_first_does(
    alert_database: Database,
) -> None:
    before = await identity.settle(alert_database, uuid7)
    renewed = await asyncio.gather(
        *(identity.renew(alert_database, uuid7, instead_of=before) for _ in range(4))
    )
    assert 1 == len(set(renewed))
    assert renewed[0] == await identity.renew(alert_database, uuid7, instead_of=OTHER_EPOCH)
