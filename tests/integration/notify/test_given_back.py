"""What was claimed and not begun is given back as it was, whatever came in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from support.notify_ground import AGAIN, LEASE, OK, Ground
from support.storms import RATE, FarSide, limited_queue
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_SEVERITY_CHANGED
from tocsin.notify.delivery.breaker import BreakerRule
from tocsin.notify.delivery.health import record
from tocsin.notify.delivery.retry import WORKER_LOST
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState
from tocsin.notify.domain.notice import Digest
from tocsin.notify.domain.notification import EventType, Notification

if TYPE_CHECKING:
    from uuid import UUID

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

AS_IT_WAS = (
    "SELECT state, reason, held_by, attempt_count, retry_count, maybe_told, told_as, lease_token,"
    " lease_expire_time, next_attempt_time, settle_time, collapsed_count FROM deliveries"
    " WHERE channel_id = $1 ORDER BY sequence"
)


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


async def attempts(ground: Ground, channel_id: UUID) -> list[tuple[object, ...]]:
    return await ground.rows(
        "SELECT a.number, a.outcome FROM attempts a JOIN deliveries d USING (delivery_id)"
        " WHERE d.channel_id = $1 ORDER BY d.sequence, a.number",
        channel_id,
    )


async def test_it_waits_as_it_did_before_and_no_attempt_is_counted(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1, 2, 3)
    before = await ground.rows(AS_IT_WAS, channel_id)
    first, second, third = await queue.claim(channel_id, 8)

    settled = await queue.settle_all([(first, None), (second, OK), (third, None)])

    assert [True, True, True] == settled
    after = await ground.rows(AS_IT_WAS, channel_id)
    assert [before[0], before[2]] == [after[0], after[2]]
    assert [(1, AttemptOutcome.DELIVERED.value)] == await attempts(ground, channel_id)
    assert [1, 1] == [claim.attempt for claim in await queue.claim(channel_id, 8)]


async def test_what_earlier_attempts_met_stays_and_so_does_what_it_is_told_as(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.changed(1, ALERT_EVENT_TYPE_SEVERITY_CHANGED)
    [claim] = await queue.claim(channel_id, 8)
    await queue.settle(claim, AGAIN)
    clock.advance(seconds=5)
    before = await ground.rows(AS_IT_WAS, channel_id)
    [claim] = await queue.claim(channel_id, 8)

    await queue.settle_all([(claim, None)])

    assert before == await ground.rows(AS_IT_WAS, channel_id)
    assert [(1, AttemptOutcome.RETRY.value)] == await attempts(ground, channel_id)
    [claim] = await queue.claim(channel_id, 8)
    assert isinstance(claim.message, Notification)
    assert (2, 1, EventType.RAISED) == (claim.attempt, claim.retry_count, claim.message.type)


async def test_newer_news_take_its_place_and_the_first_is_told_as_raised(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 8)
    await ground.changed(1, ALERT_EVENT_TYPE_SEVERITY_CHANGED)

    await queue.settle_all([(claim, None)])

    [claim] = await queue.claim(channel_id, 8)
    assert isinstance(claim.message, Notification)
    told = claim.message
    assert (2, EventType.RAISED, 1) == (told.revision, told.type, told.collapsed_count)
    assert [DeliveryState.SUPERSEDED, DeliveryState.SENDING] == await ground.states(channel_id)
    assert [] == await queue.claim(channel_id, 8)


async def test_of_an_alert_that_is_over_by_then_nothing_is_told(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 8)
    await ground.resolved(1)

    await queue.settle_all([(claim, None)])

    assert [] == await queue.claim(channel_id, 8)
    assert [DeliveryState.SUPERSEDED, DeliveryState.SUPPRESSED] == await ground.states(channel_id)
    assert [(DecisionReason.NEVER_TOLD.value,)] == await ground.rows(
        "SELECT reason FROM deliveries WHERE channel_id = $1 AND state = $2",
        channel_id,
        DeliveryState.SUPPRESSED.value,
    )


async def test_what_another_worker_has_taken_over_is_not_given_back(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [late] = await queue.claim(channel_id, 8)
    clock.advance(LEASE)
    assert 1 == await queue.reclaim_lost()
    [claim] = await queue.claim(channel_id, 8)
    before = await ground.rows(AS_IT_WAS, channel_id)

    assert [False] == await queue.settle_all([(late, None)])

    assert before == await ground.rows(AS_IT_WAS, channel_id)
    assert [(1, AttemptOutcome.AMBIGUOUS.value), (2, None)] == await attempts(ground, channel_id)
    assert [True] == await queue.settle_all([(claim, OK)])
    [delivery] = await ground.of(channel_id)
    assert WORKER_LOST != delivery.state_reason


async def test_it_gives_the_token_back_that_it_took(ground: Ground, clock: ManualClock) -> None:
    far_side = FarSide(limited_queue(ground), await ground.channel(), clock)
    await ground.raised(*range(1, 31))

    for _ in range(5):
        claims = await far_side.take(5)
        assert [True] * 5 == await far_side.queue.settle_all([(claim, None) for claim in claims])

    claims = [*await far_side.take(5), *await far_side.take(5)]
    assert RATE.burst == len(claims)
    assert [False] == await far_side.queue.settle_all([(replace(claims[0], token=uuid4()), None)])
    assert [] == await far_side.take()


async def test_a_pause_that_the_far_side_asked_for_meanwhile_keeps_its_one_token(
    ground: Ground, clock: ManualClock
) -> None:
    far_side = FarSide(limited_queue(ground), await ground.channel(), clock)
    await ground.raised(*range(1, 31))
    claims = await far_side.take(5)
    pause = timedelta(minutes=1)
    asked = replace(AGAIN, status_code=429, retry_after=pause)
    await record(ground.database, far_side.channel_id, [asked], clock.now(), BreakerRule())

    await far_side.queue.settle_all([(claim, None) for claim in claims])

    clock.advance(pause)
    assert 1 == len(await far_side.take())


async def test_a_digest_keeps_what_it_carries_and_newer_news_wait_behind_it(
    ground: Ground, clock: ManualClock
) -> None:
    far_side = FarSide(limited_queue(ground), await ground.channel(), clock)
    await ground.raised(*range(1, 31))
    claims = [*await far_side.take(), *await far_side.take()]
    [digest] = [claim for claim in claims if isinstance(claim.message, Digest)]
    others = [(claim, OK) for claim in claims if claim is not digest]
    inside = "SELECT delivery_id, alert_id, state FROM deliveries WHERE carried_by IS NOT NULL"
    before = set(await ground.rows(inside))

    settled = await far_side.queue.settle_all([*others, (digest, None)])

    assert {True} == set(settled)
    assert before == set(await ground.rows(inside))
    await ground.changed(30, ALERT_EVENT_TYPE_SEVERITY_CHANGED)
    clock.advance(RATE.refill_period)
    [again] = await far_side.take()
    assert digest.delivery_id == again.delivery_id
    assert isinstance(again.message, Digest)
    assert len(before) == again.message.total
    await far_side.queue.settle(again, OK)
    clock.advance(RATE.refill_period)
    [newer] = await far_side.take()
    assert isinstance(newer.message, Notification)
    assert 31 == newer.message.revision
