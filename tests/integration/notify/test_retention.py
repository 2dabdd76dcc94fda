"""What was over long ago is forgotten, and nothing else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from support.alert_stubs import alert_id, an_alert, an_event
from support.notify_ground import OK, Ground
from support.waiting import eventually
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RAISED
from tocsin.notify.delivery.retention import Retention
from tocsin.notify.store import retention

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

KEEP = timedelta(days=90)
LATER = KEEP + timedelta(seconds=1)
EVENTS = "SELECT revision FROM inbox_events ORDER BY sequence"
ROWS = "SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM attempts)"


@pytest.fixture
async def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


async def told(ground: Ground, channel_id: UUID, *numbers: int) -> None:
    """Raise alerts, tell them, resolve them and tell that."""
    await ground.raised(*numbers)
    await deliver(ground, channel_id)
    for number in numbers:
        await ground.resolved(number)
    await deliver(ground, channel_id)


async def deliver(ground: Ground, channel_id: UUID) -> None:
    """Send all that is due."""
    queue = ground.queue()
    while claims := await queue.claim(channel_id, 100):
        for claim in claims:
            await queue.settle(claim, OK)


async def sweep(ground: Ground, *, limit: int = 2) -> int:
    """Go over all events once, in small pages; return how many were forgotten."""
    forgotten, after, cutoff = 0, 0, ground.clock.now() - KEEP
    while True:
        pruned = await retention.prune(ground.database, cutoff, after=after, limit=limit)
        forgotten += pruned.events
        if pruned.go_on_after is None:
            return forgotten
        after = pruned.go_on_after


async def kept(ground: Ground) -> list[object]:
    return [row[0] for row in await ground.rows(EVENTS)]


async def test_what_was_over_long_ago_goes_with_its_deliveries_and_attempts(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await told(ground, channel_id, 1, 2, 3)
    clock.advance(KEEP)
    assert 0 == await sweep(ground)
    assert [(6, 6)] == await ground.rows(ROWS)
    clock.advance(seconds=1)

    assert 6 == await sweep(ground)

    assert [(0, 0)] == await ground.rows(ROWS)
    assert [] == await kept(ground)


async def test_nothing_goes_of_an_alert_that_is_not_resolved(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1, 2)
    await ground.resolved(2)
    await deliver(ground, channel_id)
    clock.advance(LATER)

    assert 2 == await sweep(ground)
    await ground.resolved(1)
    await deliver(ground, channel_id)

    assert [1, 4] == await kept(ground)
    assert ["DELIVERED", "DELIVERED"] == [each.name for each in await ground.states(channel_id)]


async def test_nothing_goes_of_an_alert_with_a_delivery_that_is_not_finished(
    ground: Ground, clock: ManualClock
) -> None:
    done, disabled = await ground.channel(), await ground.channel()
    await told(ground, done, 1)
    await ground.channels.disable(disabled, "410 Gone", version=1)
    clock.advance(LATER)

    assert 0 == await sweep(ground)
    assert [(4, 2)] == await ground.rows(ROWS)


async def test_nothing_goes_of_an_alert_that_was_told_lately(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await told(ground, channel_id, 1)
    clock.advance(LATER)
    [_, last] = await ground.of(channel_id)
    await ground.deliveries.redeliver(last.delivery_id)
    assert 0 == await sweep(ground)
    await deliver(ground, channel_id)

    assert 0 == await sweep(ground)
    assert [1, 2] == await kept(ground)


async def test_events_that_were_addressed_to_nobody_and_quarantined_ones_go_too(
    ground: Ground, clock: ManualClock
) -> None:
    await ground.raised(1)
    await ground.resolved(1)
    unreadable = an_event(3, an_alert(2), ALERT_EVENT_TYPE_RAISED)
    unreadable.alert.alert_id = "none"
    await ground.take_in(unreadable)
    clock.advance(LATER)

    assert 3 == await sweep(ground)


async def test_a_sweep_ends_where_the_young_events_begin(
    ground: Ground, clock: ManualClock
) -> None:
    await ground.raised(1, 2)
    clock.advance(LATER)
    await ground.raised(3, 4, 5, 6)
    cutoff = clock.now() - KEEP

    old = await retention.prune(ground.database, cutoff, after=0, limit=2)
    young = await retention.prune(ground.database, cutoff, after=old.go_on_after or 0, limit=2)

    assert old.go_on_after is not None
    assert young.go_on_after is None


async def test_only_one_replica_sweeps(ground: Ground, clock: ManualClock) -> None:
    await ground.raised(1)
    await ground.resolved(1)
    clock.advance(LATER)
    async with ground.database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", retention._LOCK)

        assert 0 == await sweep(ground)

    assert 2 == await sweep(ground)


@asynccontextmanager
async def running(ground: Ground) -> AsyncIterator[None]:
    loop = Retention(ground.database, clock=ground.clock, keep=KEEP, at_once=2)
    await loop.start()
    try:
        yield
    finally:
        await loop.stop()


async def test_it_goes_on_page_by_page_to_the_end(ground: Ground, clock: ManualClock) -> None:
    await ground.raised(*range(1, 8))
    for number in range(1, 7):
        await ground.resolved(number)
    clock.advance(LATER)

    async def only_the_open_one_is_left() -> bool:
        return await kept(ground) == [7]

    async with running(ground):
        await eventually(only_the_open_one_is_left)


async def test_what_a_channel_knew_of_an_alert_goes_with_it(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await told(ground, channel_id, 1)
    await ground.raised(2)
    await deliver(ground, channel_id)
    clock.advance(LATER)

    await sweep(ground)

    assert [(UUID(alert_id(2)),)] == await ground.rows("SELECT alert_id FROM tellings")


async def test_nothing_goes_of_an_alert_that_is_held(ground: Ground, clock: ManualClock) -> None:
    await ground.channel()
    await ground.raised(1)
    await ground.resolved(1)
    await ground.rows("UPDATE deliveries SET state = 6 WHERE state = 1")
    clock.advance(LATER)

    assert 0 == await sweep(ground)


async def test_silences_are_forgotten_when_they_were_over_long_ago(
    ground: Ground, clock: ManualClock
) -> None:
    now = clock.now()
    for end, ended in ((now, None), (now + KEEP, None), (now + KEEP, now)):
        await ground.rows(
            "INSERT INTO silences (silence_id, matchers, start_time, end_time, author, reason,"
            " request_id, create_time, created_by, expire_time, expired_by)"
            " VALUES (gen_random_uuid(), '[]', $1, $2, '', '', '', $1, '', $3, '')",
            *(now, end, ended),
        )
    clock.advance(LATER)

    await retention.prune_silences(ground.database, clock.now() - KEEP)

    assert [(now + KEEP, None)] == await ground.rows("SELECT end_time, expire_time FROM silences")
