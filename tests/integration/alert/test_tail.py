"""One tail per process: what is committed anywhere reaches the broadcast, in order, soon."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.eventlog import following, revisions, write
from support.postgres import migrations_of, running_cluster
from support.waiting import Recorder, eventually
from tocsin.alert.eventlog import identity
from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.eventlog.tail import Tail
from tocsin.alert.eventlog.wakeup import CHANNEL, Wakeup
from tocsin.common.errors import DataLossError
from tocsin.common.ids import uuid7
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.listener import Listener
from tocsin.common.postgres.migrator import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.common.postgres.embedded import Binaries, Cluster

pytestmark = pytest.mark.postgres

NEVER = timedelta(hours=1)
PLENTY = 2**20


@pytest.fixture
def durable_cluster(postgres_binaries: Binaries) -> Iterator[Cluster]:
    """A server that keeps what it committed when it is killed, as every real one does."""
    with running_cluster(postgres_binaries, {}) as cluster:
        yield cluster


def seen(broadcast: Broadcast, after: int = 0) -> list[int]:
    found = broadcast.after(after, 1_000, PLENTY)
    return revisions(found.entries if found else ())


async def head_is(broadcast: Broadcast, revision: int) -> None:
    """Wait by the broadcast's own signal."""
    async with asyncio.timeout(30):
        while (changed := broadcast.changed) and broadcast.head < revision:
            await changed.wait()


async def test_it_begins_at_the_end_of_the_log(alert_database: Database) -> None:
    await write(alert_database, 5)
    async with following(alert_database) as follower:
        assert 5 == follower.broadcast.head
        await write(alert_database, 2)
        await head_is(follower.broadcast, 7)
        assert [6, 7] == seen(follower.broadcast, 5)


async def test_the_own_commit_wakes_it(alert_database: Database) -> None:
    async with following(alert_database, poll=NEVER) as follower:
        await write(alert_database)
        follower.tail.wake()
        await head_is(follower.broadcast, 1)


async def test_a_commit_of_another_server_wakes_it_by_notify(
    alert_url: str, alert_database: Database
) -> None:
    async with following(alert_database, poll=NEVER) as follower:
        listener = Listener(alert_url, CHANNEL, lambda _payload: follower.tail.wake())
        wakeup = Wakeup(alert_database)
        await listener.start()
        await wakeup.start()
        try:
            for revision in (1, 2, 3):
                await write(alert_database)
                wakeup.poke()
                await head_is(follower.broadcast, revision)
        finally:
            await wakeup.stop()
            await listener.stop()


async def test_with_the_listener_dead_and_no_notify_the_poll_brings_every_event(
    alert_database: Database,
) -> None:
    async with following(alert_database, poll=timedelta(milliseconds=20)) as follower:
        for revision in (1, 2, 3):
            await write(alert_database)
            await head_is(follower.broadcast, revision)
        assert [1, 2, 3] == seen(follower.broadcast)


async def test_many_pokes_make_few_notifies(alert_url: str, alert_database: Database) -> None:
    heard = Recorder[str]()
    listener = Listener(alert_url, CHANNEL, heard)
    wakeup = Wakeup(alert_database, pause=NEVER)
    await listener.start()
    await heard.count(1)  # it is connected
    await wakeup.start()
    await heard.count(2)
    try:
        for number in range(20):
            wakeup.poke()
            async with alert_database.connection() as connection:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, str(number))
        connected, first, *rest = await heard.until(lambda payloads: "19" in payloads)
        assert [False, True] == [wakeup.is_from_here(each) for each in (connected, first)]
        assert [*map(str, range(20))] == rest
    finally:
        await wakeup.stop()
        await listener.stop()


async def test_a_notify_leaves_the_connection_as_durable_as_it_was(alert_url: str) -> None:
    """What is written on it next may be a report that was answered with OK."""
    heard = Recorder[str]()
    listener = Listener(alert_url, CHANNEL, heard)
    database = Database(alert_url, application_name="tests", pool_size=1)
    wakeup = Wakeup(database)
    async with database.connection() as connection:
        await connection.execute("SET synchronous_commit TO on")
    await listener.start()
    await heard.count(1)  # it is connected
    await wakeup.start()
    try:
        await heard.count(2)
        async with database.connection() as connection:
            assert "on" == await connection.fetchval("SHOW synchronous_commit")
    finally:
        await wakeup.stop()
        await listener.stop()
        await database.close()


async def test_a_gap_stops_it_and_is_counted_once(alert_database: Database) -> None:
    async with following(alert_database, poll=NEVER) as follower:
        epoch = follower.broadcast.epoch
        assert epoch is not None
        await write(alert_database, 3)
        async with alert_database.connection() as connection:
            await connection.execute("DELETE FROM events WHERE revision = 2")
        follower.tail.wake()
        await eventually(lambda: follower.broadcast.failed)
        with pytest.raises(DataLossError) as caught:
            follower.broadcast.check(epoch)
        assert "LOG_BROKEN" == caught.value.reason
        assert not follower.tail.running
        assert 1 == follower.broadcast.gaps_found
        assert [] == seen(follower.broadcast)


async def test_after_a_gap_a_new_epoch_lets_it_go_on(alert_database: Database) -> None:
    async with following(alert_database) as follower:
        await write(alert_database, 3)
        async with alert_database.connection() as connection:
            await connection.execute("DELETE FROM events WHERE revision = 2")
        await eventually(lambda: follower.broadcast.failed)
        renewed = await identity.renew(alert_database, uuid7)
        await eventually(lambda: follower.tail.running)
        assert (renewed, 3) == (follower.broadcast.epoch, follower.broadcast.head)


async def test_a_gap_that_is_mended_lets_it_go_on(alert_database: Database) -> None:
    async with following(alert_database) as follower:
        await write(alert_database, 3)
        async with alert_database.connection() as connection:
            await connection.execute("UPDATE events SET revision = 4 WHERE revision = 2")
            await eventually(lambda: follower.broadcast.failed)
            await connection.execute("UPDATE events SET revision = 2 WHERE revision = 4")
        await eventually(lambda: follower.tail.running)
        assert not follower.broadcast.failed
        assert [1, 2, 3] == seen(follower.broadcast)


async def test_overtaken_by_compaction_it_goes_on_where_the_log_begins(
    alert_database: Database,
) -> None:
    async with following(alert_database, poll=NEVER) as follower:
        await write(alert_database, 10)
        async with alert_database.connection() as connection:
            await connection.execute("DELETE FROM events WHERE revision < 8")
        follower.tail.wake()
        await head_is(follower.broadcast, 10)
        assert [8, 9, 10] == seen(follower.broadcast, 7)
        assert follower.broadcast.after(6, 1_000, PLENTY) is None
        assert 0 == follower.broadcast.gaps_found


async def test_a_log_that_lost_its_end_gets_a_new_epoch(alert_database: Database) -> None:
    """It was restored in a way that leaves no trace, and never was as it is now."""
    await write(alert_database, 10)
    async with following(alert_database, poll=NEVER) as follower:
        before = follower.broadcast.epoch
        async with alert_database.connection() as connection:
            await connection.execute("DELETE FROM events WHERE revision > 6")
        follower.tail.wake()
        await eventually(lambda: follower.broadcast.epoch != before)
        assert 6 == follower.broadcast.head
        assert follower.broadcast.epoch == await identity.settle(alert_database, uuid7)


async def test_a_log_that_moved_is_settled_and_followed_from_its_end(
    alert_database: Database,
) -> None:
    async with following(alert_database) as follower:
        before = follower.broadcast.epoch
        await write(alert_database, 4)
        async with alert_database.connection() as connection:
            await connection.execute("UPDATE log_identity SET timeline = timeline + 1")
        await eventually(lambda: follower.broadcast.epoch != before)
        await write(alert_database)
        await head_is(follower.broadcast, 5)


async def test_when_the_database_dies_it_says_so_and_goes_on_without_a_gap_when_it_is_back(
    durable_cluster: Cluster,
) -> None:
    url = await asyncio.to_thread(durable_cluster.create_database, "tocsin_alert")
    await migrate(url, migrations_of("alert"))
    database = Database(url, application_name="tests")
    try:
        async with following(database) as follower:
            epoch = follower.broadcast.epoch
            await write(database, 3)
            await head_is(follower.broadcast, 3)
            await asyncio.to_thread(durable_cluster.kill)
            await eventually(lambda: not follower.tail.running)
            await asyncio.to_thread(durable_cluster.start)
            await eventually(lambda: follower.tail.running, within=20)
            await write(database, 2)
            await head_is(follower.broadcast, 5)
            assert [1, 2, 3, 4, 5] == seen(follower.broadcast)
            assert epoch == follower.broadcast.epoch
    finally:
        await database.close()


async def test_it_starts_while_the_database_is_away_and_is_not_running_until_it_answers() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing", application_name="tests")
    tail = Tail(database, Broadcast())
    await tail.start()
    assert not tail.running
    await tail.stop()
    await database.close()
