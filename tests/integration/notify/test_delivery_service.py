"""DeliveryService through a real server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import grpc
import pytest

from support.notify_ground import AGAIN, OK
from support.notify_rpc import serving_notify
from support.refusals import refusal_of
from tocsin.api.notify.v1.channel_service_pb2 import DeleteChannelRequest
from tocsin.api.notify.v1.delivery_pb2 import (
    ATTEMPT_OUTCOME_DELIVERED,
    ATTEMPT_OUTCOME_RETRY,
    ATTEMPT_OUTCOME_UNSPECIFIED,
    DELIVERY_STATE_DEAD,
    DELIVERY_STATE_DELIVERED,
    DELIVERY_STATE_PENDING,
    DELIVERY_STATE_SENDING,
)
from tocsin.api.notify.v1.delivery_service_pb2 import (
    GetDeliveryRequest,
    ListDeliveriesRequest,
    RedeliverDeliveryRequest,
)
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from support.notify_rpc import NotifyRpc
    from tocsin.api.notify.v1.delivery_pb2 import Delivery
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

GONE = Receipt(AttemptOutcome.REFUSED, 410, "410 Gone", disable_channel=True)


@pytest.fixture
async def rpc(notify_database: Database, clock: ManualClock) -> AsyncIterator[NotifyRpc]:
    async with serving_notify(notify_database, clock) as running:
        yield running


async def listed(rpc: NotifyRpc, **filters: Any) -> list[Delivery]:
    page = await rpc.deliveries.ListDeliveries(ListDeliveriesRequest(**filters))
    return list(page.deliveries)


async def one_attempt(rpc: NotifyRpc, channel_id: UUID, receipt: Receipt) -> str:
    """Send what is due next, to that end; return the delivery's id."""
    queue = rpc.ground.queue()
    (claim,) = await queue.claim(channel_id, 1)
    await queue.settle(claim, receipt)
    return str(claim.delivery_id)


async def test_a_delivery_says_what_goes_where_and_how_it_stands(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    (event_id,) = await rpc.ground.raised(1)

    (delivery,) = await listed(rpc)

    assert str(channel_id) == delivery.channel_id
    assert "channel 1" == delivery.channel_display_name
    assert str(event_id) == delivery.event_id
    assert "alert.raised" == delivery.event_type
    assert ("web-1", "backup_failed", "group-1") == (
        delivery.host_id,
        delivery.kind,
        delivery.dedup_key,
    )
    assert 1 == delivery.revision
    assert DELIVERY_STATE_PENDING == delivery.state
    assert clock.now() == delivery.next_attempt_time.ToDatetime(clock.now().tzinfo)
    assert not delivery.HasField("settle_time")


async def test_attempts_are_shown_in_their_order(rpc: NotifyRpc, clock: ManualClock) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await one_attempt(rpc, channel_id, AGAIN)
    clock.advance(timedelta(hours=1))
    await one_attempt(rpc, channel_id, AGAIN)
    clock.advance(timedelta(hours=1))
    delivery_id = await one_attempt(rpc, channel_id, OK)

    shown = await rpc.deliveries.GetDelivery(GetDeliveryRequest(delivery_id=delivery_id))

    assert DELIVERY_STATE_DELIVERED == shown.delivery.state
    assert [
        (1, ATTEMPT_OUTCOME_RETRY, 503, "503 Service Unavailable"),
        (2, ATTEMPT_OUTCOME_RETRY, 503, "503 Service Unavailable"),
        (3, ATTEMPT_OUTCOME_DELIVERED, 204, "204 No Content"),
    ] == [(each.number, each.outcome, each.status_code, each.detail) for each in shown.attempts]


async def test_an_attempt_that_runs_has_no_end(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    (claim,) = await rpc.ground.queue().claim(channel_id, 1)

    shown = await rpc.deliveries.GetDelivery(GetDeliveryRequest(delivery_id=str(claim.delivery_id)))

    assert DELIVERY_STATE_SENDING == shown.delivery.state
    assert ATTEMPT_OUTCOME_UNSPECIFIED == shown.attempts[0].outcome
    assert not shown.attempts[0].HasField("finish_time")


async def test_deliveries_are_found_by_channel_alert_and_state(rpc: NotifyRpc) -> None:
    first, second = await rpc.ground.channel(), await rpc.ground.channel()
    await rpc.ground.raised(1, 2)
    delivered = await one_attempt(rpc, first, OK)
    everything = await listed(rpc)
    alert_id = next(each.alert_id for each in everything if each.delivery_id == delivered)

    of_second = await listed(rpc, channel_id=str(second))
    of_alert = await listed(rpc, alert_id=alert_id)
    done = await listed(rpc, states=[DELIVERY_STATE_DELIVERED])
    all_at_once = await listed(
        rpc,
        channel_id=str(first),
        alert_id=alert_id,
        states=[DELIVERY_STATE_DELIVERED, DELIVERY_STATE_DEAD],
    )

    assert 4 == len(everything)
    assert {str(second)} == {each.channel_id for each in of_second}
    assert [alert_id] * 2 == [each.alert_id for each in of_alert]
    assert [delivered] == [each.delivery_id for each in done]
    assert [delivered] == [each.delivery_id for each in all_at_once]


async def test_pages_hold_every_delivery_once_the_latest_first(rpc: NotifyRpc) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(*range(1, 8))
    whole = [each.delivery_id for each in await listed(rpc)]

    paged, token = [], ""
    while True:
        page = await rpc.deliveries.ListDeliveries(
            ListDeliveriesRequest(page_size=3, page_token=token)
        )
        paged += [each.delivery_id for each in page.deliveries]
        token = page.next_page_token
        if not token:
            break

    assert whole == paged
    assert sorted(whole, reverse=True) == whole
    assert 7 == len(set(whole))


async def test_a_page_token_goes_with_its_filters_only(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1, 2)
    page = await rpc.deliveries.ListDeliveries(ListDeliveriesRequest(page_size=1))

    refusal = await refusal_of(
        rpc.deliveries.ListDeliveries(
            ListDeliveriesRequest(page_token=page.next_page_token, channel_id=str(channel_id))
        )
    )

    assert {"page_token"} == set(refusal.violations)


async def test_a_bad_list_request_tells_everything_at_once(rpc: NotifyRpc) -> None:
    refusal = await refusal_of(
        rpc.deliveries.ListDeliveries(
            ListDeliveriesRequest(
                channel_id="x",
                alert_id="y\x00",
                states=[DELIVERY_STATE_DEAD, 0, 99],  # type: ignore[list-item]
                page_size=-1,
                page_token="made up",
            )
        )
    )

    assert grpc.StatusCode.INVALID_ARGUMENT is refusal.code
    assert {
        "channel_id",
        "alert_id",
        "states[1]",
        "states[2]",
        "page_size",
        "page_token",
    } == set(refusal.violations)


async def test_a_dead_delivery_is_sent_again_under_the_same_id(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    (event_id,) = await rpc.ground.raised(1)
    delivery_id = await one_attempt(rpc, channel_id, GONE)

    again = await rpc.deliveries.RedeliverDelivery(
        RedeliverDeliveryRequest(delivery_id=delivery_id)
    )
    await one_attempt(rpc, channel_id, OK)
    shown = await rpc.deliveries.GetDelivery(GetDeliveryRequest(delivery_id=delivery_id))

    assert DELIVERY_STATE_PENDING == again.delivery.state
    assert str(event_id) == again.delivery.event_id
    assert DELIVERY_STATE_DELIVERED == shown.delivery.state
    assert [1, 2] == [each.number for each in shown.attempts]
    assert 1 == len(rpc.changes)


async def test_a_delivery_that_has_not_ended_cannot_be_sent_again(rpc: NotifyRpc) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(1)
    (delivery,) = await listed(rpc)

    refusal = await refusal_of(
        rpc.deliveries.RedeliverDelivery(RedeliverDeliveryRequest(delivery_id=delivery.delivery_id))
    )

    assert grpc.StatusCode.FAILED_PRECONDITION is refusal.code
    assert "DELIVERY_NOT_FINAL" == refusal.reason


async def test_nothing_is_sent_again_over_a_deleted_channel(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    delivery_id = await one_attempt(rpc, channel_id, OK)
    await rpc.channels.DeleteChannel(DeleteChannelRequest(channel_id=str(channel_id)))

    refusal = await refusal_of(
        rpc.deliveries.RedeliverDelivery(RedeliverDeliveryRequest(delivery_id=delivery_id))
    )
    (still_there,) = await listed(rpc, channel_id=str(channel_id))

    assert grpc.StatusCode.FAILED_PRECONDITION is refusal.code
    assert "CHANNEL_DISABLED" == refusal.reason
    assert "channel 1" == still_there.channel_display_name


@pytest.mark.parametrize(
    ("method", "request_type"),
    [("GetDelivery", GetDeliveryRequest), ("RedeliverDelivery", RedeliverDeliveryRequest)],
)
async def test_an_unknown_and_a_malformed_id_are_told_apart(
    rpc: NotifyRpc, method: str, request_type: Any
) -> None:
    call = getattr(rpc.deliveries, method)

    unknown = await refusal_of(call(request_type(delivery_id=str(uuid4()))))
    malformed = await refusal_of(call(request_type(delivery_id="1")))

    assert (grpc.StatusCode.NOT_FOUND, "DELIVERY_NOT_FOUND") == (unknown.code, unknown.reason)
    assert {"delivery_id"} == set(malformed.violations)
