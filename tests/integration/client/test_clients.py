"""The blocking and the asyncio clients, by one table: each method sends and returns the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from support.alert_stubs import alert_id, an_alert, an_event
from support.client_calls import CLIENTS, Caller, Case
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.notify.v1 import (
    channel_health_pb2,
    channel_pb2,
    channel_service_pb2,
    channel_type_pb2,
    delivery_pb2,
    delivery_service_pb2,
)
from tocsin.client import (
    AlreadyExistsError,
    DeadlineExceededError,
    InvalidArgumentError,
    ResourceExhaustedError,
    RetryPolicy,
    UnavailableError,
    requests,
)
from tocsin.common import errors as common

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.scripted_answers import ScriptedAnswers

ID = alert_id(1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STAMP = Timestamp(seconds=int(NOON.timestamp()))
CHANNEL = channel_pb2.Channel(channel_id=ID, display_name="ops")
DELIVERY = delivery_pb2.Delivery(delivery_id=ID, attempt_count=3)
HEALTH = channel_health_pb2.ChannelHealth(channel_id=ID, failure_count=2)
TYPE = channel_type_pb2.ChannelType(name="webhook", available=True)
ATTEMPT = delivery_pb2.Attempt(number=1, status_code=204)
RAISED = pb.RaiseOrTouchResponse(alert=an_alert(1), outcome=pb.RAISE_OUTCOME_RAISED)
REPORT = requests.raise_or_touch("web-1", "backup_failed", request_id="r-1")


CASES = [
    Case(
        "alert",
        lambda c: c.raise_or_touch(
            "web-1",
            "backup_failed",
            "home",
            severity="critical",
            message="m",
            cause="locked",
            labels={"a": "b"},
            observe_time=NOON,
            request_id="r-1",
        ),
        "RaiseOrTouch",
        pb.RaiseOrTouchRequest(
            host_id="web-1",
            kind="backup_failed",
            dedup_key="home",
            severity=3,  # type: ignore[arg-type]  # a plain number
            message="m",
            cause="locked",
            labels={"a": "b"},
            observe_time=STAMP,
            request_id="r-1",
        ),
        RAISED,
    ),
    Case(
        "alert",
        lambda c: c.batch_raise_or_touch([REPORT]),
        "BatchRaiseOrTouch",
        pb.BatchRaiseOrTouchRequest(requests=[REPORT]),
        pb.BatchRaiseOrTouchResponse(results=[pb.BatchRaiseOrTouchResult(response=RAISED)]),
    ),
    Case(
        "alert",
        lambda c: c.auto_resolve(
            "web-1", "backup_failed", "home", message="m", observe_time=NOON, request_id="r-2"
        ),
        "AutoResolve",
        pb.AutoResolveRequest(
            host_id="web-1",
            kind="backup_failed",
            dedup_key="home",
            message="m",
            observe_time=STAMP,
            request_id="r-2",
        ),
        pb.AutoResolveResponse(outcome=pb.CLEAR_OUTCOME_NOTHING_OPEN),
    ),
    Case(
        "alert",
        lambda c: c.acknowledge(
            ID, note="n", on_behalf_of="ann", expire_time=NOON, request_id="r-3"
        ),
        "Acknowledge",
        pb.AcknowledgeRequest(
            alert_id=ID, note="n", on_behalf_of="ann", expire_time=STAMP, request_id="r-3"
        ),
        pb.AcknowledgeResponse(alert=an_alert(1), changed=True),
    ),
    Case(
        "alert",
        lambda c: c.resolve(ID, note="n", on_behalf_of="ann", request_id="r-4"),
        "Resolve",
        pb.ResolveRequest(alert_id=ID, note="n", on_behalf_of="ann", request_id="r-4"),
        pb.ResolveResponse(alert=an_alert(1), changed=True),
    ),
    Case(
        "alert",
        lambda c: c.get_alert(ID),
        "GetAlert",
        pb.GetAlertRequest(alert_id=ID),
        pb.GetAlertResponse(alert=an_alert(1)),
        an_alert(1),
    ),
    Case(
        "alert",
        lambda c: c.list_alerts_page(
            statuses=["open"],
            host_ids=["h"],
            kinds=["k"],
            min_severity="info",
            page_size=5,
            page_token="t",
        ),
        "ListAlerts",
        pb.ListAlertsRequest(
            statuses=[1],  # type: ignore[list-item]  # a plain number
            host_ids=["h"],
            kinds=["k"],
            min_severity=1,  # type: ignore[arg-type]  # a plain number
            page_size=5,
            page_token="t",
        ),
        pb.ListAlertsResponse(alerts=[an_alert(1)], next_page_token="u"),
    ),
    Case(
        "alert",
        lambda c: c.list_alerts(host_ids=["h"], page_size=5),
        "ListAlerts",
        pb.ListAlertsRequest(host_ids=["h"], page_size=5),
        pb.ListAlertsResponse(alerts=[an_alert(1), an_alert(2)]),
        [an_alert(1), an_alert(2)],
    ),
    Case(
        "alert",
        lambda c: c.list_alert_events_page(ID, page_size=5, page_token="t"),
        "ListAlertEvents",
        pb.ListAlertEventsRequest(alert_id=ID, page_size=5, page_token="t"),
        pb.ListAlertEventsResponse(events=[an_event(1)], next_page_token="u"),
    ),
    Case(
        "alert",
        lambda c: c.list_alert_events(ID),
        "ListAlertEvents",
        pb.ListAlertEventsRequest(alert_id=ID),
        pb.ListAlertEventsResponse(events=[an_event(1), an_event(2)]),
        [an_event(1), an_event(2)],
    ),
    Case(
        "notify",
        lambda c: c.create_channel(CHANNEL),
        "CreateChannel",
        channel_service_pb2.CreateChannelRequest(channel=CHANNEL),
        channel_service_pb2.CreateChannelResponse(channel=CHANNEL, generated_signing_secret="s"),
    ),
    Case(
        "notify",
        lambda c: c.get_channel(ID),
        "GetChannel",
        channel_service_pb2.GetChannelRequest(channel_id=ID),
        channel_service_pb2.GetChannelResponse(channel=CHANNEL),
        CHANNEL,
    ),
    Case(
        "notify",
        lambda c: c.list_channels_page(page_size=5, page_token="t"),
        "ListChannels",
        channel_service_pb2.ListChannelsRequest(page_size=5, page_token="t"),
        channel_service_pb2.ListChannelsResponse(channels=[CHANNEL], next_page_token="u"),
    ),
    Case(
        "notify",
        lambda c: c.list_channels(),
        "ListChannels",
        channel_service_pb2.ListChannelsRequest(),
        channel_service_pb2.ListChannelsResponse(channels=[CHANNEL]),
        [CHANNEL],
    ),
    Case(
        "notify",
        lambda c: c.list_channel_health(ID),
        "ListChannelHealth",
        channel_service_pb2.ListChannelHealthRequest(channel_id=ID),
        channel_service_pb2.ListChannelHealthResponse(channels=[HEALTH]),
        [HEALTH],
    ),
    Case(
        "notify",
        lambda c: c.list_channel_types(),
        "ListChannelTypes",
        channel_service_pb2.ListChannelTypesRequest(),
        channel_service_pb2.ListChannelTypesResponse(channel_types=[TYPE]),
        [TYPE],
    ),
    Case(
        "notify",
        lambda c: c.update_channel(CHANNEL, ["enabled"]),
        "UpdateChannel",
        channel_service_pb2.UpdateChannelRequest(
            channel=CHANNEL, update_mask=FieldMask(paths=["enabled"])
        ),
        channel_service_pb2.UpdateChannelResponse(channel=CHANNEL),
        CHANNEL,
    ),
    Case(
        "notify",
        lambda c: c.delete_channel(ID),
        "DeleteChannel",
        channel_service_pb2.DeleteChannelRequest(channel_id=ID),
        channel_service_pb2.DeleteChannelResponse(dead_deliveries=2),
    ),
    Case(
        "notify",
        lambda c: c.test_channel(ID),
        "TestChannel",
        channel_service_pb2.TestChannelRequest(channel_id=ID),
        channel_service_pb2.TestChannelResponse(attempt=ATTEMPT),
        ATTEMPT,
    ),
    Case(
        "notify",
        lambda c: c.list_deliveries_page(
            channel_id=ID, alert_id=ID, states=["dead"], page_size=5, page_token="t"
        ),
        "ListDeliveries",
        delivery_service_pb2.ListDeliveriesRequest(
            channel_id=ID,
            alert_id=ID,
            states=[5],  # type: ignore[list-item]  # a plain number
            page_size=5,
            page_token="t",
        ),
        delivery_service_pb2.ListDeliveriesResponse(deliveries=[DELIVERY], next_page_token="u"),
    ),
    Case(
        "notify",
        lambda c: c.list_deliveries(),
        "ListDeliveries",
        delivery_service_pb2.ListDeliveriesRequest(),
        delivery_service_pb2.ListDeliveriesResponse(deliveries=[DELIVERY]),
        [DELIVERY],
    ),
    Case(
        "notify",
        lambda c: c.get_delivery(ID),
        "GetDelivery",
        delivery_service_pb2.GetDeliveryRequest(delivery_id=ID),
        delivery_service_pb2.GetDeliveryResponse(delivery=DELIVERY, attempts=[ATTEMPT]),
    ),
    Case(
        "notify",
        lambda c: c.redeliver(ID),
        "RedeliverDelivery",
        delivery_service_pb2.RedeliverDeliveryRequest(delivery_id=ID),
        delivery_service_pb2.RedeliverDeliveryResponse(delivery=DELIVERY),
        DELIVERY,
    ),
    Case(
        "notify",
        lambda c: c.redeliver_all(
            NOON,
            settled_before_time=NOON,
            channel_id=ID,
            states=["expired"],
            reasons=["too_late"],
            limit=7,
            dry_run=True,
        ),
        "RedeliverDeliveries",
        delivery_service_pb2.RedeliverDeliveriesRequest(
            channel_id=ID,
            states=[8],  # type: ignore[list-item]  # a plain number
            reasons=[33],  # type: ignore[list-item]  # a plain number
            settled_after_time=STAMP,
            settled_before_time=STAMP,
            limit=7,
            dry_run=True,
        ),
        delivery_service_pb2.RedeliverDeliveriesResponse(redelivered_count=3),
    ),
    Case(
        "notify",
        lambda c: c.explain_alert(ID, channel_id=ID),
        "ExplainAlert",
        delivery_service_pb2.ExplainAlertRequest(alert_id=ID, channel_id=ID),
        delivery_service_pb2.ExplainAlertResponse(truncated=True),
    ),
]


def raised(client: Any) -> Any:
    return client.raise_or_touch("web-1", "backup_failed")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.method)
async def test_each_method_sends_what_it_was_given_and_returns_the_answer(
    case: Case, caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers[case.method].append(case.answer)

    assert case.expected == await caller(case.client, case.call)
    assert [case.sent] == [type(case.sent).FromString(each) for each in script.sent(case.method)]


async def test_a_walk_over_pages_asks_for_each_with_the_token_of_the_one_before(
    caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers["ListAlerts"] += [
        pb.ListAlertsResponse(alerts=[an_alert(1)], next_page_token="two"),
        pb.ListAlertsResponse(next_page_token="three"),
        pb.ListAlertsResponse(alerts=[an_alert(3)]),
    ]

    found = await caller("alert", lambda c: c.list_alerts(kinds=["k"]))

    assert found == [an_alert(1), an_alert(3)]
    asked = [pb.ListAlertsRequest.FromString(each) for each in script.sent("ListAlerts")]
    assert [each.page_token for each in asked] == ["", "two", "three"]
    assert all(list(each.kinds) == ["k"] for each in asked)


async def test_a_call_that_is_repeated_bears_the_same_request_id(
    caller: Caller, script: ScriptedAnswers
) -> None:
    away = common.UnavailableError("Away.", retry_after=timedelta(milliseconds=1))
    script.answers["RaiseOrTouch"] += [away, away, RAISED]

    assert await caller("alert", raised) == RAISED

    first, *others = script.sent("RaiseOrTouch")
    assert pb.RaiseOrTouchRequest.FromString(first).request_id
    assert others == [first, first]


async def test_each_attempt_has_a_deadline_of_its_own(
    caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers["RaiseOrTouch"] += [None, None, RAISED]
    impatient = RetryPolicy(
        total=timedelta(seconds=20),
        attempt=timedelta(milliseconds=700),
        first_wait=timedelta(milliseconds=1),
    )

    assert await caller("alert", raised, impatient) == RAISED
    assert len(script.calls) == 3
    assert all(given is not None and given < 1 for given in script.seconds_given)


async def test_a_server_that_never_answers_is_given_up_after_the_total(
    caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers["RaiseOrTouch"].append(None)
    impatient = RetryPolicy(total=timedelta(milliseconds=500), attempt=timedelta(milliseconds=200))

    with pytest.raises(DeadlineExceededError):
        await caller("alert", raised, impatient)


@pytest.mark.parametrize("kind", list(CLIENTS))
async def test_a_server_that_is_not_there_is_told_as_unavailable(kind: str) -> None:
    hasty = RetryPolicy(total=timedelta(milliseconds=300))

    with pytest.raises(UnavailableError):
        await Caller(kind, "127.0.0.1:1")("alert", raised, hasty)


async def test_an_overloaded_server_is_tried_again_when_it_names_a_time(
    caller: Caller, script: ScriptedAnswers
) -> None:
    busy = common.ResourceExhaustedError(
        "Busy.", reason="OVERLOADED", retry_after=timedelta(milliseconds=1)
    )
    script.answers["RaiseOrTouch"] += [busy, RAISED]

    assert await caller("alert", raised) == RAISED


async def test_a_full_disk_is_told_at_once(caller: Caller, script: ScriptedAnswers) -> None:
    full = common.ResourceExhaustedError("No room.", reason="STORAGE_FULL")
    script.answers["RaiseOrTouch"].append(full)

    with pytest.raises(ResourceExhaustedError, match="STORAGE_FULL"):
        await caller("alert", raised)
    assert len(script.calls) == 1


async def test_wrong_fields_reach_the_caller_by_name(
    caller: Caller, script: ScriptedAnswers
) -> None:
    wrong = common.InvalidArgumentError.of([common.FieldViolation("kind", "must not be empty")])
    script.answers["RaiseOrTouch"].append(wrong)

    with pytest.raises(InvalidArgumentError) as caught:
        await caller("alert", raised)
    assert caught.value.reason == "INVALID_FIELD"
    assert caught.value.field_violations == (("kind", "must not be empty"),)


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("CreateChannel", lambda c: c.create_channel(CHANNEL)),
        ("DeleteChannel", lambda c: c.delete_channel(ID)),
        ("TestChannel", lambda c: c.test_channel(ID)),
        ("RedeliverDelivery", lambda c: c.redeliver(ID)),
        ("RedeliverDeliveries", lambda c: c.redeliver_all(NOON)),
        (
            "UpdateChannel",
            lambda c: c.update_channel(channel_pb2.Channel(channel_id=ID, version=4), ["enabled"]),
        ),
    ],
)
async def test_what_is_not_idempotent_is_tried_once(
    method: str, call: Callable[[Any], Any], caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers[method].append(common.UnavailableError("Away."))

    with pytest.raises(UnavailableError):
        await caller("notify", call)
    assert len(script.calls) == 1


async def test_a_name_that_is_taken_is_told(caller: Caller, script: ScriptedAnswers) -> None:
    taken = common.AlreadyExistsError("Taken.", reason="CHANNEL_NAME_TAKEN")
    script.answers["CreateChannel"].append(taken)

    with pytest.raises(AlreadyExistsError, match="CHANNEL_NAME_TAKEN"):
        await caller("notify", lambda c: c.create_channel(CHANNEL))


async def test_a_test_message_may_take_as_long_as_the_far_side(
    caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers["TestChannel"].append(channel_service_pb2.TestChannelResponse(attempt=ATTEMPT))

    await caller("notify", lambda c: c.test_channel(ID))
    assert script.seconds_given[0] is not None
    assert script.seconds_given[0] > 25
