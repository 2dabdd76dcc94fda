"""What has ended is sent once more, by a filter or one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import grpc
import pytest

from support.alert_stubs import alert_id
from support.notify_ground import AGAIN, OK, Ground
from support.notify_rpc import serving_notify
from support.refusals import refusal_of
from tocsin.api.notify.v1.decision_pb2 import DECISION_REASON_SILENCED
from tocsin.api.notify.v1.delivery_pb2 import DELIVERY_STATE_DELIVERED, DELIVERY_STATE_PENDING
from tocsin.api.notify.v1.delivery_service_pb2 import (
    RedeliverDeliveriesRequest,
    RedeliverDeliveriesResponse,
    RedeliverDeliveryRequest,
)
from tocsin.common.rpc.times import to_timestamp
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from support.notify_rpc import NotifyRpc
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

REFUSED = Receipt(AttemptOutcome.REFUSED, 404, "404 Not Found")
ONCE = RetrySchedule((timedelta(),))


@pytest.fixture
async def rpc(notify_database: Database, clock: ManualClock) -> AsyncIterator[NotifyRpc]:
    async with serving_notify(notify_database, clock) as running:
        yield running


async def send_all(ground: Ground, channel_id: UUID, receipt: Receipt = AGAIN) -> None:
    """Make one attempt at what is due: the only one, so that a failure is the end."""
    queue = ground.queue(ONCE)
    for claim in await queue.claim(channel_id, 100):
        await queue.settle(claim, receipt)


async def redeliver(
    rpc: NotifyRpc, clock: ManualClock, **given: Any
) -> RedeliverDeliveriesResponse:
    since = to_timestamp(clock.now() - timedelta(hours=1))
    request = RedeliverDeliveriesRequest(**{"settled_after_time": since, **given})
    return await rpc.deliveries.RedeliverDeliveries(request)


async def test_what_died_lately_is_sent_once_more(rpc: NotifyRpc, clock: ManualClock) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1, 2, 3)
    await send_all(rpc.ground, channel_id)

    answer = await redeliver(rpc, clock)

    assert (3, 0, False) == (answer.redelivered_count, answer.left_count, answer.more)
    assert 3 * [DELIVERY_STATE_PENDING] == [each.state for each in answer.examples]
    await send_all(rpc.ground, channel_id, OK)
    assert 3 * [DeliveryState.DELIVERED] == await rpc.ground.states(channel_id)
    assert [None] == rpc.changes


async def test_a_dry_run_counts_and_changes_nothing(rpc: NotifyRpc, clock: ManualClock) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1, 2)
    await send_all(rpc.ground, channel_id)
    before = await rpc.ground.rows("SELECT * FROM deliveries ORDER BY delivery_id")

    answer = await redeliver(rpc, clock, dry_run=True)

    assert 2 == answer.redelivered_count
    assert 2 * ["alert.raised"] == [each.event_type for each in answer.examples]
    assert before == await rpc.ground.rows("SELECT * FROM deliveries ORDER BY delivery_id")
    assert [] == rpc.changes


async def test_what_waits_already_is_not_found_again(rpc: NotifyRpc, clock: ManualClock) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await send_all(rpc.ground, channel_id)
    await redeliver(rpc, clock)

    again = await redeliver(rpc, clock)

    assert (0, 0) == (again.redelivered_count, again.left_count)


async def test_a_limit_takes_the_oldest_and_says_that_there_are_more(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    events = []
    for number in (1, 2, 3):
        events += await rpc.ground.raised(number)
        await send_all(rpc.ground, channel_id)
        clock.advance(seconds=1)

    answer = await redeliver(rpc, clock, limit=2)

    assert (2, True) == (answer.redelivered_count, answer.more)
    assert [str(each) for each in events[:2]] == [each.event_id for each in answer.examples]


async def test_an_alert_that_is_over_is_left_but_its_end_is_told(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1, 2)
    await send_all(rpc.ground, channel_id)
    await rpc.ground.resolved(1)  # ends untold: that it began never arrived
    await send_all(rpc.ground, channel_id)
    await rpc.ground.raised(3)
    await send_all(rpc.ground, channel_id, OK)
    await rpc.ground.resolved(3)
    await send_all(rpc.ground, channel_id)

    answer = await redeliver(rpc, clock)

    assert (2, 1) == (answer.redelivered_count, answer.left_count)
    assert {("alert.raised", alert_id(2)), ("alert.resolved", alert_id(3))} == {
        (each.event_type, each.alert_id) for each in answer.examples
    }


async def test_only_the_newest_news_of_an_alert_goes_out_again(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await send_all(rpc.ground, channel_id)
    await rpc.ground.changed(1, 2)
    await send_all(rpc.ground, channel_id)

    answer = await redeliver(rpc, clock)

    assert (1, 1) == (answer.redelivered_count, answer.left_count)
    assert ["alert.severity_changed"] == [each.event_type for each in answer.examples]


async def test_news_that_waits_stands_in_for_what_died(rpc: NotifyRpc, clock: ManualClock) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await send_all(rpc.ground, channel_id)
    await rpc.ground.changed(1, 2)

    answer = await redeliver(rpc, clock)

    assert (0, 1) == (answer.redelivered_count, answer.left_count)
    assert [DeliveryState.DEAD, DeliveryState.PENDING] == await rpc.ground.states(channel_id)
    (dead, _) = await rpc.ground.of(channel_id)
    refusal = await refusal_of(
        rpc.deliveries.RedeliverDelivery(
            RedeliverDeliveryRequest(delivery_id=str(dead.delivery_id))
        )
    )
    assert "DELIVERY_NOT_FINAL" == refusal.reason


async def test_one_that_tells_what_is_over_is_refused(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await send_all(rpc.ground, channel_id, OK)
    await rpc.ground.resolved(1)
    await send_all(rpc.ground, channel_id, OK)
    raised, resolved = await rpc.ground.of(channel_id)

    refusal = await refusal_of(
        rpc.deliveries.RedeliverDelivery(
            RedeliverDeliveryRequest(delivery_id=str(raised.delivery_id))
        )
    )

    assert (grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_NOT_FINAL") == (
        refusal.code,
        refusal.reason,
    )
    again = await rpc.deliveries.RedeliverDelivery(
        RedeliverDeliveryRequest(delivery_id=str(resolved.delivery_id))
    )
    assert DELIVERY_STATE_PENDING == again.delivery.state


async def test_what_a_digest_carried_goes_out_as_itself(rpc: NotifyRpc, clock: ManualClock) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1, 2)
    await send_all(rpc.ground, channel_id)
    carried, digest = await rpc.ground.of(channel_id)
    await rpc.ground.rows("UPDATE inbox_events SET type = 104 WHERE event_id = $1", digest.event_id)
    await rpc.ground.rows(
        "UPDATE deliveries SET carried_by = $1, held_by = $1 WHERE delivery_id = $2",
        *(digest.delivery_id, carried.delivery_id),
    )

    answer = await redeliver(rpc, clock)

    assert [str(carried.delivery_id)] == [each.delivery_id for each in answer.examples]
    assert "" == answer.examples[0].told_by_delivery_id
    assert [(carried.delivery_id, None)] == await rpc.ground.rows(
        "SELECT delivery_id, carried_by FROM deliveries WHERE state = 1"
    )
    refusal = await refusal_of(
        rpc.deliveries.RedeliverDelivery(
            RedeliverDeliveryRequest(delivery_id=str(digest.delivery_id))
        )
    )
    assert "Send again what it carried" in refusal.message


async def test_it_is_filtered_by_channel_reason_and_time(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    first, second = await rpc.ground.channel(), await rpc.ground.channel()
    await rpc.ground.raised(1)
    await send_all(rpc.ground, first)
    await send_all(rpc.ground, second)
    begin = clock.now()
    clock.advance(timedelta(minutes=5))

    def count(answer: RedeliverDeliveriesResponse) -> int:
        return int(answer.redelivered_count)

    assert 1 == count(await redeliver(rpc, clock, dry_run=True, channel_id=str(first)))
    assert 2 == count(await redeliver(rpc, clock, dry_run=True, reasons=[35]))
    assert 0 == count(await redeliver(rpc, clock, dry_run=True, reasons=[34]))
    assert 0 == count(
        await redeliver(rpc, clock, dry_run=True, settled_before_time=to_timestamp(begin))
    )
    assert 0 == count(
        await redeliver(rpc, clock, dry_run=True, settled_after_time=to_timestamp(clock.now()))
    )


async def test_what_cannot_be_meant_is_refused_field_by_field(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    at = to_timestamp(clock.now())

    refusal = await refusal_of(
        rpc.deliveries.RedeliverDeliveries(
            RedeliverDeliveriesRequest(
                channel_id="x",
                states=[DELIVERY_STATE_DELIVERED],
                reasons=[DECISION_REASON_SILENCED],
                settled_before_time=at,
                limit=10_001,
            )
        )
    )
    assert {"channel_id", "states[0]", "reasons[0]", "settled_after_time", "limit"} == set(
        refusal.violations
    )
    nobody = await refusal_of(
        rpc.deliveries.RedeliverDeliveries(
            RedeliverDeliveriesRequest(channel_id=str(uuid4()), settled_after_time=at)
        )
    )
    assert ["channel_id"] == list(nobody.violations)


async def test_what_a_deleted_channel_held_is_dead_for_that_reason(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await rpc.ground.rows("UPDATE deliveries SET state = 6, reason = 11")

    await rpc.ground.channels.delete(channel_id)

    [(state, reason)] = await rpc.ground.rows("SELECT state, reason FROM deliveries")
    assert (DeliveryState.DEAD, 37) == (state, reason)
