"""Claim, settle, reclaim: order, fences and ends, on a real database."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from support.notify_ground import AGAIN, LEASE, OK, Ground
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_ACKNOWLEDGED,
    ALERT_EVENT_TYPE_SEVERITY_CHANGED,
)
from tocsin.notify.delivery.retry import WORKER_LOST, RetrySchedule
from tocsin.notify.delivery.telling import ENDS
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt
from tocsin.notify.domain.notification import EventType, Notification

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.delivery.queue import Claim

pytestmark = pytest.mark.postgres

UNSURE = Receipt(AttemptOutcome.AMBIGUOUS, 0, "connection reset")


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


def revisions(claims: list[Claim]) -> list[int]:
    return [claim.message.revision for claim in claims if isinstance(claim.message, Notification)]


async def test_what_is_due_is_claimed_oldest_first(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1, 2, 3)

    claims = await ground.queue().claim(channel_id, 2)

    assert [1, 2] == revisions(claims)
    assert [1, 1] == [claim.attempt for claim in claims]
    states = [DeliveryState.SENDING, DeliveryState.SENDING, DeliveryState.PENDING]
    assert states == await ground.states(channel_id)


async def test_a_claimed_delivery_is_not_claimed_again(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    queue = ground.queue()
    await queue.claim(channel_id, 8)

    assert [] == await queue.claim(channel_id, 8)


async def test_news_of_one_alert_wait_for_each_other_and_those_of_others_do_not(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    first = await queue.claim(channel_id, 8)
    await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)
    await ground.raised(2)

    assert [1] == revisions(first)
    assert [3] == revisions(await queue.claim(channel_id, 8))
    await queue.settle(first[0], OK)

    assert [2] == revisions(await queue.claim(channel_id, 8))


async def test_newer_news_take_the_place_and_the_time_of_what_is_to_be_retried(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 8)
    await ground.changed(1, ALERT_EVENT_TYPE_SEVERITY_CHANGED)
    await queue.settle(claim, AGAIN)

    assert [] == await queue.claim(channel_id, 8)
    clock.advance(seconds=5)
    [second] = await queue.claim(channel_id, 8)

    assert [2] == revisions([second])
    assert isinstance(second.message, Notification)
    assert (EventType.RAISED, 1) == (second.message.type, second.message.collapsed_count)
    assert [DeliveryState.SUPERSEDED, DeliveryState.SENDING] == await ground.states(channel_id)


async def test_one_channel_does_not_wait_for_another(ground: Ground) -> None:
    slow, fast = await ground.channel(), await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    await queue.claim(slow, 8)
    [claim] = await queue.claim(fast, 8)
    await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)
    await queue.settle(claim, OK)

    assert [2] == revisions(await queue.claim(fast, 8))
    assert [] == await queue.claim(slow, 8)


async def test_a_delivered_one_is_final_with_its_attempt(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 1)
    began = clock.now()
    ended = clock.advance(seconds=2)

    assert await queue.settle(claim, OK)

    delivery, [attempt] = await ground.deliveries.get(claim.delivery_id)
    assert (DeliveryState.DELIVERED, "", None, ended) == (
        delivery.state,
        delivery.state_reason,
        delivery.next_attempt_time,
        delivery.settle_time,
    )
    assert (1, began, ended, AttemptOutcome.DELIVERED, 204, "204 No Content") == (
        attempt.number,
        attempt.start_time,
        attempt.finish_time,
        attempt.outcome,
        attempt.status_code,
        attempt.detail,
    )


async def test_it_is_dead_after_the_schedule_and_what_comes_later_has_its_turn(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue(RetrySchedule((timedelta(), timedelta(seconds=5), timedelta(seconds=9))))
    await ground.raised(1)
    for wait in (0, 5, 9):
        clock.advance(seconds=wait)
        [claim] = await queue.claim(channel_id, 8)
        await queue.settle(claim, AGAIN)
    await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)

    delivery, attempts = await ground.deliveries.get(claim.delivery_id)
    assert (DeliveryState.DEAD, 3) == (delivery.state, delivery.attempt_count)
    assert "Given up after 3 attempts. The last one: 503 Service Unavailable" == (
        delivery.state_reason
    )
    assert [AttemptOutcome.RETRY] * 3 == [attempt.outcome for attempt in attempts]
    assert [(DecisionReason.ATTEMPTS_EXHAUSTED,)] == await ground.rows(
        "SELECT reason FROM deliveries WHERE state = 5"
    )
    assert [2] == revisions(await queue.claim(channel_id, 8))


@pytest.mark.parametrize("receipt", [AGAIN, OK, UNSURE], ids=lambda each: each.outcome.name)
async def test_a_late_settle_is_refused_however_it_went(
    ground: Ground, clock: ManualClock, receipt: Receipt
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [late] = await queue.claim(channel_id, 1)
    clock.advance(LEASE)
    await queue.reclaim_lost()
    [present] = await queue.claim(channel_id, 1)

    assert not await queue.settle(late, receipt)

    delivery, attempts = await ground.deliveries.get(late.delivery_id)
    assert DeliveryState.SENDING is delivery.state
    assert [AttemptOutcome.AMBIGUOUS, None] == [attempt.outcome for attempt in attempts]
    assert await queue.settle(present, OK)


async def test_what_a_lost_worker_held_goes_out_again_under_the_same_id(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [lost] = await queue.claim(channel_id, 1)
    clock.advance(LEASE - timedelta(microseconds=1))
    assert 0 == await queue.reclaim_lost()
    clock.advance(timedelta(microseconds=1))
    assert 1 == await queue.reclaim_lost()

    [again] = await queue.claim(channel_id, 1)

    assert (lost.delivery_id, lost.message, 2) == (
        again.delivery_id,
        again.message,
        again.attempt,
    )
    _, attempts = await ground.deliveries.get(lost.delivery_id)
    assert (WORKER_LOST, clock.now()) == (attempts[0].detail, attempts[0].finish_time)


async def test_a_resolved_alert_that_was_never_told_is_suppressed(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue(RetrySchedule((timedelta(),)))
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 8)
    await ground.resolved(1)
    await queue.settle(claim, AGAIN)

    assert [] == await queue.claim(channel_id, 8)

    dead, suppressed = await ground.of(channel_id)
    assert DeliveryState.DEAD is dead.state
    assert (
        DeliveryState.SUPPRESSED,
        ENDS[DecisionReason.NEVER_TOLD],
        0,
        clock.now(),
    ) == (
        suppressed.state,
        suppressed.state_reason,
        suppressed.attempt_count,
        suppressed.settle_time,
    )


async def test_a_resolved_alert_that_may_have_been_told_is_told(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue(RetrySchedule((timedelta(),)))
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 8)
    await ground.resolved(1)
    await queue.settle(claim, UNSURE)

    assert [2] == revisions(await queue.claim(channel_id, 8))


async def test_a_channel_that_came_later_is_not_told_of_an_end_it_knows_no_beginning_of(
    ground: Ground,
) -> None:
    early = await ground.channel()
    await ground.raised(1)
    [claim] = await ground.queue().claim(early, 8)
    await ground.queue().settle(claim, OK)
    late = await ground.channel()
    await ground.resolved(1)

    assert [] == await ground.queue().claim(late, 8)
    assert [2] == revisions(await ground.queue().claim(early, 8))
    assert [DeliveryState.SUPPRESSED] == await ground.states(late)


async def test_a_page_full_of_suppressed_ones_does_not_hide_what_is_behind_it(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    for number in (1, 2, 3):
        await ground.resolved(number)
    await ground.raised(4)

    assert [4] == revisions(await ground.queue().claim(channel_id, 2))


async def test_what_is_pending_for_a_disabled_channel_waits(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    await ground.channels.disable(channel_id, "410 Gone", version=1)

    assert [] == await ground.queue().claim(channel_id, 8)
    assert [DeliveryState.PENDING] == await ground.states(channel_id)


async def test_a_disabled_channel_gets_no_new_deliveries(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.channels.disable(channel_id, "410 Gone", version=1)
    await ground.raised(1)

    assert [] == await ground.of(channel_id)


async def test_what_a_deleted_channel_has_not_delivered_is_dead(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1, 2, 3)
    done, under_way = await queue.claim(channel_id, 2)
    await queue.settle(done, OK)

    assert 2 == await ground.channels.delete(channel_id)

    assert [DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.DEAD] == (
        await ground.states(channel_id)
    )
    assert not await queue.settle(under_way, OK)
    delivery, [attempt] = await ground.deliveries.get(under_way.delivery_id)
    assert "the channel was deleted" == delivery.state_reason
    assert AttemptOutcome.AMBIGUOUS is attempt.outcome
    assert [(True,)] == await ground.rows(
        "SELECT maybe_told FROM deliveries WHERE delivery_id = $1", under_way.delivery_id
    )


async def test_words_that_the_database_cannot_keep_do_not_stop_a_settle(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 1)

    assert await queue.settle(
        claim, Receipt(AttemptOutcome.RETRY, 500, "a\x00b\udc80" + "x" * 2000)
    )

    _, [attempt] = await ground.deliveries.get(claim.delivery_id)
    assert "a\N{REPLACEMENT CHARACTER}b?" == attempt.detail[:4]
    assert 1024 == len(attempt.detail)


async def test_the_next_due_time_is_that_of_the_first_retry(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    assert await queue.next_due(uuid4()) is None
    [claim] = await queue.claim(channel_id, 1)
    await queue.settle(claim, AGAIN)

    assert clock.now() + timedelta(seconds=5) == await queue.next_due(channel_id)


async def test_the_end_takes_the_place_of_what_is_redelivered(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [first] = await queue.claim(channel_id, 8)
    await queue.settle(first, OK)
    await ground.deliveries.redeliver(first.delivery_id)
    await ground.resolved(1)

    assert [2] == revisions(await queue.claim(channel_id, 8))
    again, _ = await ground.deliveries.get(first.delivery_id)
    assert DeliveryState.SUPERSEDED is again.state


async def test_what_comes_to_its_turn_after_the_end_is_not_told(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [first] = await queue.claim(channel_id, 8)
    await queue.settle(first, OK)
    await ground.resolved(1)
    [second] = await queue.claim(channel_id, 8)
    await queue.settle(second, OK)
    await ground.rows(
        "UPDATE deliveries SET state = 1, next_attempt_time = $2 WHERE delivery_id = $1",
        first.delivery_id,
        ground.clock.now(),
    )

    assert [] == await queue.claim(channel_id, 8)
    again, _ = await ground.deliveries.get(first.delivery_id)
    assert (DeliveryState.SUPPRESSED, ENDS[DecisionReason.ALREADY_OVER]) == (
        again.state,
        again.state_reason,
    )


async def test_the_database_itself_refuses_to_send_two_news_of_one_alert_at_a_time(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    await ground.resolved(1)

    with pytest.raises(asyncpg.UniqueViolationError, match="deliveries_one_sending_per_alert"):
        await ground.rows(
            "UPDATE deliveries SET state = 2, lease_token = gen_random_uuid()"
            " WHERE channel_id = $1",
            channel_id,
        )


async def test_the_database_itself_refuses_to_let_two_news_of_one_alert_wait(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    await ground.resolved(1)

    with pytest.raises(asyncpg.UniqueViolationError, match="deliveries_one_waiting_per_alert"):
        await ground.rows("UPDATE deliveries SET state = 1 WHERE channel_id = $1", channel_id)


async def test_claims_at_the_same_moment_share_the_work_and_keep_the_order(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(*range(1, 16))
    for claim in await queue.claim(channel_id, 7):
        await queue.settle(claim, OK)
    for number in range(1, 16):
        await ground.changed(number, ALERT_EVENT_TYPE_ACKNOWLEDGED)

    shares = await asyncio.gather(*[queue.claim(channel_id, 4) for _ in range(6)])

    claimed = [revision for share in shares for revision in revisions(share)]
    assert list(range(16, 31)) == sorted(claimed)
