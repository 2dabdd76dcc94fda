"""The follower takes in every event once, in order, over every interruption."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from support.alert_stubs import OTHER_EPOCH, acknowledged, alert_id, an_alert, resolved
from support.notify_ground import Ground
from support.postgres import SETTINGS, migrations_of, running_cluster
from support.scripted_log import Manners, ScriptedLog, serving
from support.waiting import eventually
from tocsin.common.clock import SystemClock
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.migrator import migrate
from tocsin.common.rpc.channel import open_channel
from tocsin.notify.follower.follower import Follower

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.common.postgres.embedded import Binaries

pytestmark = pytest.mark.postgres

POSITION = "SELECT epoch, revision FROM follower_position"
TAKEN_IN = "SELECT revision, type, synthetic FROM inbox_events ORDER BY sequence"
KNOWN = "SELECT alert_id FROM known_alerts ORDER BY alert_id"


@pytest.fixture
def ground(notify_database: Database) -> Ground:
    return Ground(notify_database, SystemClock())


@asynccontextmanager
async def following(database: Database, port: int) -> AsyncIterator[Follower]:
    channel = open_channel(f"127.0.0.1:{port}")
    follower = Follower(database, channel, clock=SystemClock(), on_commit=lambda: None)
    await follower.start()
    try:
        yield follower
    finally:
        await follower.stop()
        await channel.close()


async def until_at(ground: Ground, log: ScriptedLog) -> None:
    """Wait until everything in the log has been taken in."""

    async def is_there() -> bool:
        return [(UUID(log.epoch), log.head)] == await ground.rows(POSITION)

    await eventually(is_there)


async def test_a_first_start_rings_for_nothing_of_the_past_but_remembers_what_is_open(
    ground: Ground,
) -> None:
    log = ScriptedLog()
    log.append(an_alert(1))
    log.append(an_alert(2))
    log.append(resolved(1))
    channel_id = await ground.channel()

    async with serving(log) as port, following(ground.database, port):
        await until_at(ground, log)

    assert [] == await ground.of(channel_id)
    assert [(UUID(alert_id(2)),)] == await ground.rows(KNOWN)


async def test_every_event_after_the_first_start_is_addressed_to_every_enabled_channel(
    ground: Ground,
) -> None:
    log = ScriptedLog()
    channel_ids = [await ground.channel(), await ground.channel()]

    async with serving(log) as port, following(ground.database, port):
        await until_at(ground, log)
        for number in range(1, 8):
            log.append(an_alert(number))
        await until_at(ground, log)

    for channel_id in channel_ids:
        told = await ground.of(channel_id)
        assert list(range(1, 8)) == [delivery.revision for delivery in told]


async def test_broken_streams_lose_nothing_and_double_nothing(ground: Ground) -> None:
    log = ScriptedLog(page=2)
    channel_id = await ground.channel()
    async with serving(log) as port, following(ground.database, port):
        await until_at(ground, log)
    log.manners.extend([Manners(messages=1), Manners(messages=2), Manners(messages=1, error=None)])
    for number in range(1, 20):
        log.append(an_alert(number))

    async with serving(log) as port, following(ground.database, port):
        await until_at(ground, log)

    assert list(range(1, 20)) == [delivery.revision for delivery in await ground.of(channel_id)]


async def test_what_happened_while_it_was_down_is_taken_in_at_the_next_start(
    ground: Ground,
) -> None:
    log = ScriptedLog()
    channel_id = await ground.channel()
    async with serving(log) as port:
        async with following(ground.database, port):
            await until_at(ground, log)
        log.append(an_alert(1))
        log.append(resolved(1))
        async with following(ground.database, port):
            await until_at(ground, log)

    assert [1, 2] == [delivery.revision for delivery in await ground.of(channel_id)]
    assert [] == await ground.rows(KNOWN)


async def test_alerts_that_an_older_version_remembered_can_be_looked_at_after_the_next_start(
    ground: Ground,
) -> None:
    log = ScriptedLog()
    log.append(an_alert(1))
    async with serving(log) as port, following(ground.database, port):
        await until_at(ground, log)
    await ground.rows("UPDATE known_alerts SET document = NULL")

    async with serving(log) as port, following(ground.database, port):

        async def is_readable() -> bool:
            return [("web-1",)] == await ground.rows(
                "SELECT document ->> 'host_id' FROM known_alerts"
            )

        await eventually(is_readable)


async def test_after_a_compaction_the_difference_is_told_by_synthetic_events(
    ground: Ground,
) -> None:
    log = ScriptedLog()
    channel_id = await ground.channel()
    async with serving(log) as port:
        async with following(ground.database, port):
            await until_at(ground, log)
            log.append(an_alert(1))
            log.append(an_alert(2))
            await until_at(ground, log)
        log.append(resolved(1))
        log.append(acknowledged(2), 4)
        log.append(an_alert(3))
        log.compact()
        async with following(ground.database, port):
            await until_at(ground, log)

    told = [
        (delivery.alert_id, delivery.event_type.name, delivery.synthetic)
        for delivery in await ground.of(channel_id)
    ]
    assert [
        (UUID(alert_id(1)), "RAISED", False),
        (UUID(alert_id(2)), "RAISED", False),
        (UUID(alert_id(1)), "RESOLVED", True),
        (UUID(alert_id(2)), "ACKNOWLEDGED", True),
        (UUID(alert_id(3)), "RAISED", True),
    ] == told


async def test_a_restored_alert_service_is_followed_in_its_new_epoch(ground: Ground) -> None:
    log = ScriptedLog()
    await ground.channel()
    async with serving(log) as port, following(ground.database, port):
        await until_at(ground, log)
        log.append(an_alert(1))
        log.append(an_alert(2))
        await until_at(ground, log)
        log.restore(OTHER_EPOCH, 1, an_alert(1))
        await until_at(ground, log)

    assert [(UUID(alert_id(1)),)] == await ground.rows(KNOWN)
    assert [(1, 1, False), (2, 1, False), (1, 6, True)] == await ground.rows(TAKEN_IN)


async def test_one_replica_follows_and_the_other_takes_over(
    ground: Ground, notify_url: str
) -> None:
    log = ScriptedLog()
    channel_id = await ground.channel()
    other = Database(notify_url, application_name="other")
    async with serving(log) as port, following(ground.database, port) as first:
        await until_at(ground, log)
        async with following(other, port) as second:
            await eventually(lambda: second.is_well)
            assert 1 == log.streams
            await first.stop()
            log.append(an_alert(1))
            await until_at(ground, log)
            assert 1 == log.streams
    await other.close()

    assert [1] == [delivery.revision for delivery in await ground.of(channel_id)]


async def test_a_database_that_dies_and_returns_costs_nothing(postgres_binaries: Binaries) -> None:
    with running_cluster(postgres_binaries, {**SETTINGS, "synchronous_commit": "on"}) as cluster:
        url = await asyncio.to_thread(cluster.create_database, "notify")
        await migrate(url, migrations_of("notify"))
        database = Database(url, application_name="tests")
        ground, log = Ground(database, SystemClock()), ScriptedLog()
        channel_id = await ground.channel()
        async with serving(log) as port, following(database, port) as follower:
            await until_at(ground, log)
            await asyncio.to_thread(cluster.kill)
            for number in range(1, 6):
                log.append(an_alert(number))
            await eventually(lambda: not follower.is_well)
            await asyncio.to_thread(cluster.start)
            await eventually(lambda: follower.is_well)
            await until_at(ground, log)

        told = await ground.of(channel_id)
        assert list(range(1, 6)) == [delivery.revision for delivery in told]
        await database.close()
