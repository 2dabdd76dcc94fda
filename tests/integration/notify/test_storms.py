"""What overflows a channel becomes a digest: never a loss, and never five hundred messages."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert_stubs import alert_id, an_alert, an_event
from support.cases import case_of
from support.notify_ground import AGAIN, LEASE, OK, Ground
from support.storms import FarSide, limited_queue, spec
from support.waiting import eventually
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_CRITICAL
from tocsin.common.ids import uuid7
from tocsin.notify.delivery import digests
from tocsin.notify.delivery.breaker import BreakerRule
from tocsin.notify.delivery.health import record
from tocsin.notify.domain.channel import ConsoleConfig, RateLimit, Secrets
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt
from tocsin.notify.domain.notice import Digest, NoticeType
from tocsin.notify.domain.notification import EventType, Notification
from tocsin.notify.store import channel_states

if TYPE_CHECKING:
    from uuid import UUID

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

SECONDS = timedelta(seconds=1)
REFUSED = Receipt(AttemptOutcome.REFUSED, 404, "404 Not Found")
UNSURE = Receipt(AttemptOutcome.AMBIGUOUS, 0, "connection reset")


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


@pytest.fixture
async def far_side(ground: Ground, clock: ManualClock) -> FarSide:
    return FarSide(limited_queue(ground), await ground.channel(), clock)


async def with_a_digest(ground: Ground, far_side: FarSide, count: int = 30) -> Digest:
    """Raise more than the bucket has tokens for, and let all but the digest be accepted."""
    await ground.raised(*range(1, count + 1))
    for _ in range(2):
        for claim in await far_side.take():
            if not isinstance(claim.message, Digest):
                assert await far_side.queue.settle(claim, OK)
    [digest] = far_side.digests
    return digest


async def carried(ground: Ground) -> list[tuple[object, ...]]:
    return await ground.rows(
        "SELECT state, reason, maybe_told FROM deliveries WHERE carried_by IS NOT NULL"
        " GROUP BY 1, 2, 3"
    )


async def test_500_alerts_in_a_minute_become_the_first_few_and_then_digests_that_name_them_all(
    ground: Ground, far_side: FarSide
) -> None:
    for first in range(1, 501, 25):
        await ground.raised(*range(first, first + 25))
        await far_side.answer()
        far_side.clock.advance(seconds=3)
    await far_side.answer_for(120 * SECONDS, 10 * SECONDS)

    singles = [each for each in far_side.heard if isinstance(each, Notification)]
    listed = [line.event_id for digest in far_side.digests for line in digest.lines]
    assert 500 == len(singles) + sum(digest.total for digest in far_side.digests)
    assert len(listed) == len(set(listed))
    assert set(listed).isdisjoint({each.event_id for each in singles})
    assert (9, 4) >= (len(singles), len(far_side.digests))
    assert 501 + len(far_side.digests) - 1 == len(await ground.of(far_side.channel_id))
    assert {DeliveryState.DELIVERED} == set(await ground.states(far_side.channel_id))


async def test_the_worst_of_a_storm_are_told_by_themselves(
    ground: Ground, far_side: FarSide
) -> None:
    events = [
        an_event(ground.next(), an_alert(number, severity=SEVERITY_CRITICAL if number > 95 else 2))
        for number in range(1, 101)
    ]
    await ground.take_in(*events)
    await far_side.answer()

    worst = {alert_id(number) for number in range(96, 101)}
    alone = [str(m.alert.alert_id) for m in far_side.heard if isinstance(m, Notification)]
    assert worst == set(alone[:5])
    assert [91] == [digest.total for digest in far_side.digests]


async def test_what_a_limit_or_a_pause_holds_goes_out_once_the_channel_is_changed(
    ground: Ground, clock: ManualClock
) -> None:
    tight, none = RateLimit(1, timedelta(days=1)), RateLimit(0, timedelta())
    channel = await ground.channels.create("a", ConsoleConfig(), Secrets(), rate_limit=tight)
    far_side = FarSide(
        limited_queue(ground, spec(carries_digests=False)), channel.channel_id, clock
    )
    await ground.raised(1, 2)
    assert 1 == await far_side.answer()
    await pause(ground, channel.channel_id, timedelta(hours=1))

    clock.advance(seconds=1)
    await ground.channels.update(
        channel.channel_id, lambda present, _: (replace(present, rate_limit=none), None)
    )

    assert 1 == await far_side.answer()


async def pause(ground: Ground, channel_id: UUID, asked: timedelta) -> None:
    """Let the far side ask to be left alone for so long."""
    receipt = replace(AGAIN, status_code=429, retry_after=asked)
    await record(ground.database, channel_id, [receipt], ground.clock.now(), BreakerRule())


async def test_what_a_rate_limit_holds_says_so_and_until_when(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    await ground.raised(*range(1, 11))
    await far_side.answer()
    [event_id] = await ground.raised(11)
    await far_side.answer()

    [last] = [each for each in await ground.of(far_side.channel_id) if each.event_id == event_id]
    assert (DeliveryState.HELD, DecisionReason.RATE_LIMITED) == (last.state, last.reason)
    assert last.next_attempt_time is not None
    assert last.next_attempt_time > clock.now()
    [kept] = await ground.rows("SELECT event_id, reason, until_time FROM decisions")
    assert (event_id, DecisionReason.RATE_LIMITED, last.next_attempt_time) == kept

    clock.set(last.next_attempt_time)
    assert 1 == await far_side.answer()


async def test_a_digest_is_repeated_under_the_same_id_with_the_same_content(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    await ground.raised(*range(1, 31))
    claims = [*await far_side.take(), *await far_side.take()]
    [first] = [claim for claim in claims if isinstance(claim.message, Digest)]
    await far_side.queue.settle(first, AGAIN)
    await ground.raised(*range(31, 41))
    clock.advance(seconds=40)

    again = await far_side.take()

    assert first.delivery_id == again[0].delivery_id
    assert first.message == again[0].message
    assert isinstance(first.message, Digest)
    assert 21 == first.message.total


async def test_what_a_digest_carries_is_delivered_with_it_and_not_before(
    ground: Ground, far_side: FarSide
) -> None:
    await ground.raised(*range(1, 31))
    claims = [*await far_side.take(), *await far_side.take()]
    [digest] = [claim for claim in claims if isinstance(claim.message, Digest)]

    held = (DeliveryState.HELD, DecisionReason.CARRIED, False)
    assert [held] == await carried(ground)
    await far_side.queue.settle(digest, OK)
    told = (DeliveryState.DELIVERED, DecisionReason.CARRIED, True)
    assert [told] == await carried(ground)


async def test_a_digest_that_dies_takes_what_it_carries(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    await with_a_digest(ground, far_side)
    [sending] = await ground.rows("SELECT delivery_id FROM deliveries WHERE state = 2")
    for _ in range(4):
        await far_side.queue.reclaim_lost()
        await far_side.answer(REFUSED)
        clock.advance(LEASE + 90 * SECONDS)

    dead = (DeliveryState.DEAD, DecisionReason.REFUSED, True)
    assert [dead] == await carried(ground)
    deliveries = {each.delivery_id: each for each in await ground.of(far_side.channel_id)}
    assert DeliveryState.DEAD is deliveries[sending[0]].state  # type: ignore[index]  # a UUID


async def test_a_digest_whose_worker_is_lost_goes_out_again_and_may_have_been_told(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    digest = await with_a_digest(ground, far_side)
    clock.advance(LEASE)
    assert 1 == await far_side.queue.reclaim_lost()

    await far_side.answer()

    assert [digest, digest] == far_side.digests
    told = await ground.rows("SELECT count(*) FROM tellings WHERE maybe_told")
    assert [(31,)] == told


async def test_the_end_of_what_was_told_only_in_a_digest_is_told(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    digest = await with_a_digest(ground, far_side)
    number = next(n for n in range(1, 31) if alert_id(n) == str(digest.lines[0].alert_id))
    event_id = await ground.resolved(number)
    clock.advance(seconds=31)

    assert [] == await far_side.take()  # the digest is on its way
    clock.advance(LEASE)
    await far_side.queue.reclaim_lost()
    await far_side.answer_for(70 * SECONDS, 10 * SECONDS)

    last = far_side.heard[-1]
    assert (event_id, EventType.RESOLVED) == (last.event_id, last.type)


async def test_the_end_of_what_was_told_to_nobody_is_not_told(
    ground: Ground, far_side: FarSide
) -> None:
    await ground.raised(*range(1, 11))
    await far_side.answer()
    await ground.raised(11)
    await far_side.answer()
    await ground.resolved(11)
    await far_side.answer_for(70 * SECONDS, 10 * SECONDS)

    assert 10 == len(far_side.heard)


async def test_replicas_that_claim_at_one_time_share_one_bucket(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await ground.raised(*range(1, 61))
    replicas = [FarSide(limited_queue(ground), channel_id, clock) for _ in range(4)]

    taken = await asyncio.gather(*(replica.take(5) for replica in replicas for _ in range(2)))

    claims = [claim for each in taken for claim in each]
    assert 10 == len(claims)
    assert [51] == [c.message.total for c in claims if isinstance(c.message, Digest)]


async def test_a_channel_that_carries_no_digests_tells_each_in_its_time(
    ground: Ground, clock: ManualClock
) -> None:
    queue = limited_queue(ground, spec(carries_digests=False))
    far_side = FarSide(queue, await ground.channel(), clock)
    await ground.raised(*range(1, 21))
    await far_side.answer()
    assert 10 == len(far_side.heard)

    await far_side.answer_for(310 * SECONDS, 10 * SECONDS)

    assert ([], 20) == (far_side.digests, len({each.event_id for each in far_side.heard}))


async def test_a_channel_that_is_deleted_while_a_digest_is_made_leaves_nothing_unfinished(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    async with ground.database.transaction() as connection:
        await channel_states.lock(connection, far_side.channel_id)
        deleting = asyncio.create_task(ground.channels.delete(far_side.channel_id))
        waits = (
            "SELECT 1 FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await eventually(lambda: ground.rows(waits))
        await digests.make(
            connection,
            far_side.channel_id,
            [case_of(1), case_of(2)],
            clock.now(),
            new_id=uuid7,
            group="",
        )

    assert 1 == await deleting
    assert [DeliveryState.DEAD] == await ground.states(far_side.channel_id)


async def test_a_digest_is_an_event_of_notifys_own(ground: Ground, far_side: FarSide) -> None:
    digest = await with_a_digest(ground, far_side)

    [row] = await ground.rows(
        "SELECT event_id, alert_id, type, synthetic, revision FROM inbox_events WHERE type > 100"
    )
    assert (digest.event_id, digest.event_id, NoticeType.DIGEST, True, ground.revision) == row
