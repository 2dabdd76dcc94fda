"""What the alert service answers, situation by situation, as a caller sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.refusals import refusal_of
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.rpc.times import from_timestamp, to_timestamp

if TYPE_CHECKING:
    from support.alert import RunningAlert
    from support.clock import ManualClock

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY: dict[str, Any] = {"host_id": "nas", "kind": "backup_failed", "dedup_key": "photos"}
UNKNOWN = "0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a"

INFO = alert_pb2.SEVERITY_INFO
WARNING = alert_pb2.SEVERITY_WARNING
CRITICAL = alert_pb2.SEVERITY_CRITICAL
OPEN = alert_pb2.ALERT_STATUS_OPEN
ACKNOWLEDGED = alert_pb2.ALERT_STATUS_ACKNOWLEDGED
RESOLVED = alert_pb2.ALERT_STATUS_RESOLVED


async def fail(alert: RunningAlert, at: datetime | None = None, **fields: Any) -> Any:
    request = pb.RaiseOrTouchRequest(**{**KEY, **fields})
    if at is not None:
        request.observe_time.CopyFrom(to_timestamp(at))
    return await alert.alerts.RaiseOrTouch(request)


async def succeed(alert: RunningAlert, at: datetime | None = None, **fields: Any) -> Any:
    request = pb.AutoResolveRequest(**{**KEY, **fields})
    if at is not None:
        request.observe_time.CopyFrom(to_timestamp(at))
    return await alert.alerts.AutoResolve(request)


async def acknowledge(alert: RunningAlert, alert_id: str, **fields: Any) -> Any:
    return await alert.alerts.Acknowledge(pb.AcknowledgeRequest(alert_id=alert_id, **fields))


async def resolve(alert: RunningAlert, alert_id: str, **fields: Any) -> Any:
    return await alert.alerts.Resolve(pb.ResolveRequest(alert_id=alert_id, **fields))


async def get(alert: RunningAlert, alert_id: str) -> alert_pb2.Alert:
    return (await alert.alerts.GetAlert(pb.GetAlertRequest(alert_id=alert_id))).alert


async def timeline(alert: RunningAlert, alert_id: str) -> list[str]:
    answer = await alert.alerts.ListAlertEvents(pb.ListAlertEventsRequest(alert_id=alert_id))
    return [
        event_pb2.AlertEventType.Name(e.type).removeprefix("ALERT_EVENT_TYPE_")
        for e in answer.events
    ]


async def test_a_failure_when_nothing_is_open_raises_an_alert_with_an_event(
    alert: RunningAlert,
) -> None:
    answer = await fail(alert, message="exit 1", cause="locked", labels={"disk": "sda"})

    assert pb.RAISE_OUTCOME_RAISED == answer.outcome
    raised = answer.alert
    assert (OPEN, WARNING, 1, 1) == (
        raised.status,
        raised.severity,
        raised.occurrences,
        raised.version,
    )
    assert ("nas", "exit 1", "locked") == (raised.host_name, raised.message, raised.cause)
    assert {"disk": "sda"} == dict(raised.labels)
    assert NOW == from_timestamp(raised.raise_time) == from_timestamp(raised.last_seen_time)
    assert ["RAISED"] == await timeline(alert, raised.alert_id)


async def test_a_failure_of_an_open_alert_touches_it_without_an_event(
    alert: RunningAlert,
) -> None:
    first = (await fail(alert, NOW - 2 * MINUTE, message="first")).alert

    answer = await fail(alert, NOW - MINUTE, message="second")

    assert pb.RAISE_OUTCOME_TOUCHED == answer.outcome
    touched = answer.alert
    assert (first.alert_id, 2, "second") == (
        touched.alert_id,
        touched.occurrences,
        touched.message,
    )
    assert NOW - MINUTE == from_timestamp(touched.last_seen_time)
    assert NOW - 2 * MINUTE == from_timestamp(touched.raise_time)
    assert ["RAISED"] == await timeline(alert, first.alert_id)


async def test_an_earlier_failure_counts_but_the_later_time_and_message_stay(
    alert: RunningAlert,
) -> None:
    await fail(alert, NOW - MINUTE, message="later")

    touched = (await fail(alert, NOW - 2 * MINUTE, message="earlier")).alert

    assert (2, "later") == (touched.occurrences, touched.message)
    assert NOW - MINUTE == from_timestamp(touched.last_seen_time)


async def test_a_failure_of_an_acknowledged_alert_touches_it_too(alert: RunningAlert) -> None:
    raised = (await fail(alert)).alert
    await acknowledge(alert, raised.alert_id)

    answer = await fail(alert)

    assert (pb.RAISE_OUTCOME_TOUCHED, ACKNOWLEDGED) == (answer.outcome, answer.alert.status)
    assert ["RAISED", "ACKNOWLEDGED"] == await timeline(alert, raised.alert_id)


async def test_a_higher_severity_is_an_event_and_breaks_an_acknowledgement_first(
    alert: RunningAlert,
) -> None:
    raised = (await fail(alert)).alert
    await acknowledge(alert, raised.alert_id)

    worse = (await fail(alert, severity=CRITICAL)).alert

    assert (CRITICAL, OPEN) == (worse.severity, worse.status)
    assert ["RAISED", "ACKNOWLEDGED", "UNACKNOWLEDGED", "SEVERITY_CHANGED"] == (
        await timeline(alert, raised.alert_id)
    )


async def test_another_cause_is_an_event_and_breaks_an_acknowledgement_first(
    alert: RunningAlert,
) -> None:
    raised = (await fail(alert, cause="locked")).alert
    await acknowledge(alert, raised.alert_id)

    changed = (await fail(alert, cause="wrong_password")).alert

    assert ("wrong_password", OPEN) == (changed.cause, changed.status)
    assert ["RAISED", "ACKNOWLEDGED", "UNACKNOWLEDGED", "CAUSE_CHANGED"] == (
        await timeline(alert, raised.alert_id)
    )


async def test_severity_never_falls_while_open(alert: RunningAlert) -> None:
    await fail(alert, severity=CRITICAL)

    assert CRITICAL == (await fail(alert, severity=INFO)).alert.severity


async def test_an_empty_cause_leaves_the_known_one(alert: RunningAlert) -> None:
    await fail(alert, cause="locked")

    assert "locked" == (await fail(alert)).alert.cause


async def test_a_late_failure_does_not_reopen_a_healed_alert(alert: RunningAlert) -> None:
    raised = (await fail(alert, NOW - 3 * MINUTE)).alert
    await succeed(alert, NOW - MINUTE)

    answer = await fail(alert, NOW - 2 * MINUTE)

    assert (pb.RAISE_OUTCOME_STALE, raised.alert_id) == (answer.outcome, answer.alert.alert_id)
    assert RESOLVED == answer.alert.status
    assert ["RAISED", "RESOLVED"] == await timeline(alert, raised.alert_id)


async def test_a_late_success_does_not_close_a_newer_failure(alert: RunningAlert) -> None:
    raised = (await fail(alert, NOW - MINUTE)).alert

    answer = await succeed(alert, NOW - 2 * MINUTE)

    assert (pb.CLEAR_OUTCOME_STALE, raised.alert_id) == (answer.outcome, answer.alert.alert_id)
    assert OPEN == (await get(alert, raised.alert_id)).status


async def test_on_a_tie_the_failure_wins(alert: RunningAlert) -> None:
    raised = (await fail(alert, NOW - MINUTE)).alert

    assert pb.CLEAR_OUTCOME_STALE == (await succeed(alert, NOW - MINUTE)).outcome
    assert OPEN == (await get(alert, raised.alert_id)).status


async def test_a_success_with_nothing_open_is_remembered(alert: RunningAlert) -> None:
    answer = await succeed(alert, NOW - MINUTE)

    assert pb.CLEAR_OUTCOME_NOTHING_OPEN == answer.outcome
    assert not answer.HasField("alert")
    assert pb.RAISE_OUTCOME_STALE == (await fail(alert, NOW - 2 * MINUTE)).outcome
    assert pb.RAISE_OUTCOME_RAISED == (await fail(alert, NOW)).outcome


async def test_a_success_resolves_an_open_alert_with_an_event(alert: RunningAlert) -> None:
    raised = (await fail(alert, NOW - MINUTE)).alert

    answer = await succeed(alert, NOW, message="exit 0")

    assert pb.CLEAR_OUTCOME_RESOLVED == answer.outcome
    assert (RESOLVED, alert_pb2.RESOLVE_REASON_AUTO) == (
        answer.alert.status,
        answer.alert.resolve_reason,
    )
    assert NOW == from_timestamp(answer.alert.resolve_time)
    events = await alert.alerts.ListAlertEvents(pb.ListAlertEventsRequest(alert_id=raised.alert_id))
    last = events.events[-1]
    assert (event_pb2.ALERT_EVENT_TYPE_RESOLVED, "exit 0") == (last.type, last.note)
    assert answer.alert == last.alert, "the event carries the whole alert with all its times"


async def test_a_success_resolves_an_acknowledged_alert(alert: RunningAlert) -> None:
    raised = (await fail(alert, NOW - MINUTE)).alert
    await acknowledge(alert, raised.alert_id, note="mine")

    resolved = (await succeed(alert)).alert

    assert (RESOLVED, "mine") == (resolved.status, resolved.acknowledge_note)
    assert ["RAISED", "ACKNOWLEDGED", "RESOLVED"] == await timeline(alert, raised.alert_id)


async def test_after_a_resolve_by_hand_a_newer_failure_from_a_slow_clock_still_rings(
    alert: RunningAlert,
) -> None:
    first = (await fail(alert, NOW - 60 * MINUTE)).alert
    await resolve(alert, first.alert_id)

    answer = await fail(alert, NOW - 59 * MINUTE)

    assert pb.RAISE_OUTCOME_RAISED == answer.outcome
    assert first.alert_id == answer.alert.previous_alert_id


async def test_an_observation_without_a_time_stands_at_its_receipt(
    alert: RunningAlert, clock: ManualClock
) -> None:
    received = clock.advance(seconds=90)

    raised = (await fail(alert)).alert

    assert received == from_timestamp(raised.raise_time)


async def test_a_time_far_ahead_is_clamped_and_never_refused(alert: RunningAlert) -> None:
    raised = (await fail(alert, NOW + timedelta(minutes=5, microseconds=1))).alert

    assert NOW == from_timestamp(raised.raise_time)


async def test_a_time_up_to_5_minutes_ahead_is_taken_as_it_is(alert: RunningAlert) -> None:
    raised = (await fail(alert, NOW + 5 * MINUTE)).alert

    assert NOW + 5 * MINUTE == from_timestamp(raised.raise_time)


async def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(
    alert: RunningAlert,
) -> None:
    first = await fail(alert, message="one", request_id="r-1")
    await fail(alert, message="another")

    again = await fail(alert, message="one", request_id="r-1")

    assert (first.alert, first.outcome, True) == (again.alert, again.outcome, again.replayed)
    assert 2 == (await get(alert, first.alert.alert_id)).occurrences


async def test_a_repeated_clear_gets_the_first_answer(alert: RunningAlert) -> None:
    await fail(alert, NOW - MINUTE)
    first = await succeed(alert, request_id="r-1")

    again = await succeed(alert, request_id="r-1")

    assert (first.alert, first.outcome, True) == (again.alert, again.outcome, again.replayed)


async def test_a_repeated_acknowledge_says_changed_as_the_first_did(alert: RunningAlert) -> None:
    raised = (await fail(alert)).alert
    first = await acknowledge(alert, raised.alert_id, request_id="r-1")

    assert first == await acknowledge(alert, raised.alert_id, request_id="r-1")
    assert first.changed


@pytest.mark.parametrize(
    "other",
    [{"message": "two"}, {"labels": {"a": "b"}}, {"dedup_key": "music"}, {"severity": CRITICAL}],
)
async def test_a_request_id_with_other_content_is_refused(
    alert: RunningAlert, other: dict[str, Any]
) -> None:
    await fail(alert, message="one", request_id="r-1")

    refusal = await refusal_of(fail(alert, **{"message": "one", **other}, request_id="r-1"))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED") == (
        refusal.code,
        refusal.reason,
    )


async def test_a_request_id_of_another_method_is_refused(alert: RunningAlert) -> None:
    await fail(alert, request_id="r-1")

    refusal = await refusal_of(succeed(alert, request_id="r-1"))

    assert "REQUEST_ID_REUSED" == refusal.reason


async def test_a_request_id_is_forgotten_after_24_hours(
    alert: RunningAlert, clock: ManualClock
) -> None:
    first = await fail(alert, request_id="r-1")
    clock.advance(timedelta(hours=24, seconds=1))

    again = await fail(alert, request_id="r-1")

    assert (pb.RAISE_OUTCOME_TOUCHED, False) == (again.outcome, again.replayed)
    assert first.alert.alert_id == again.alert.alert_id


async def test_acknowledging_twice_changes_nothing_and_the_first_note_stays(
    alert: RunningAlert,
) -> None:
    raised = (await fail(alert)).alert
    first = await acknowledge(alert, raised.alert_id, note="mine", on_behalf_of="ada")

    second = await acknowledge(alert, raised.alert_id, note="no, mine")

    assert (True, False) == (first.changed, second.changed)
    assert ("mine", "anonymous") == (second.alert.acknowledge_note, second.alert.acknowledged_by)
    assert ["RAISED", "ACKNOWLEDGED"] == await timeline(alert, raised.alert_id)


async def test_resolving_twice_changes_nothing(alert: RunningAlert) -> None:
    raised = (await fail(alert)).alert
    first = await resolve(alert, raised.alert_id, note="fixed")

    second = await resolve(alert, raised.alert_id)

    assert (True, False) == (first.changed, second.changed)
    assert first.alert == second.alert
    assert alert_pb2.RESOLVE_REASON_MANUAL == first.alert.resolve_reason
    assert ["RAISED", "RESOLVED"] == await timeline(alert, raised.alert_id)


async def test_a_resolved_alert_cannot_be_acknowledged(alert: RunningAlert) -> None:
    raised = (await fail(alert)).alert
    await resolve(alert, raised.alert_id)

    refusal = await refusal_of(acknowledge(alert, raised.alert_id))

    assert (grpc.StatusCode.FAILED_PRECONDITION, "ALERT_RESOLVED") == (
        refusal.code,
        refusal.reason,
    )


async def test_an_acknowledgement_lapses_after_24_hours_unless_said_otherwise(
    alert: RunningAlert, clock: ManualClock
) -> None:
    raised = (await fail(alert)).alert
    taken = (await acknowledge(alert, raised.alert_id)).alert
    assert NOW + timedelta(hours=24) == from_timestamp(taken.acknowledge_expire_time)

    clock.advance(timedelta(hours=24))

    async def is_open_again() -> bool:
        return (await get(alert, raised.alert_id)).status == OPEN

    await eventually(is_open_again)
    assert ["RAISED", "ACKNOWLEDGED", "UNACKNOWLEDGED"] == await timeline(alert, raised.alert_id)


@pytest.mark.parametrize(
    "call",
    [
        lambda alert: get(alert, UNKNOWN),
        lambda alert: acknowledge(alert, UNKNOWN),
        lambda alert: resolve(alert, UNKNOWN),
        lambda alert: timeline(alert, UNKNOWN),
    ],
)
async def test_an_unknown_alert_is_not_found(alert: RunningAlert, call: Any) -> None:
    refusal = await refusal_of(call(alert))

    assert (grpc.StatusCode.NOT_FOUND, "ALERT_NOT_FOUND") == (refusal.code, refusal.reason)


@pytest.mark.parametrize("text", ["x" * 17_000, "ж" * 9_000, "\U0001f514" * 5_000])
async def test_a_message_over_16_kib_is_cut_at_a_character_boundary_with_a_mark(
    alert: RunningAlert, text: str
) -> None:
    kept = (await fail(alert, message=text)).alert.message

    assert 16 * 1024 - 4 <= len(kept.encode()) <= 16 * 1024
    assert kept.endswith(" … [cut]")
    assert text.startswith(kept.removesuffix(" … [cut]"))


async def test_a_note_of_a_clear_over_4096_characters_is_cut_with_a_mark(
    alert: RunningAlert,
) -> None:
    raised = (await fail(alert, NOW - MINUTE)).alert
    await succeed(alert, message="ж" * 5_000)

    events = await alert.alerts.ListAlertEvents(pb.ListAlertEventsRequest(alert_id=raised.alert_id))

    assert 4096 == len(events.events[-1].note)
    assert events.events[-1].note.endswith(" … [cut]")


async def test_two_source_groups_of_one_host_are_two_alerts_and_healing_one_leaves_the_other(
    alert: RunningAlert,
) -> None:
    photos = (await fail(alert, NOW - MINUTE, dedup_key="photos")).alert
    music = (await fail(alert, NOW - MINUTE, dedup_key="music")).alert
    assert photos.alert_id != music.alert_id

    await succeed(alert, dedup_key="photos")

    listed = await alert.alerts.ListAlerts(pb.ListAlertsRequest(host_ids=["nas"]))
    assert [music] == list(listed.alerts)


async def test_the_trace_of_the_caller_is_in_the_event(alert: RunningAlert) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await alert.alerts.RaiseOrTouch(
        pb.RaiseOrTouchRequest(**KEY), metadata=(("traceparent", trace),)
    )

    events = await alert.alerts.ListAlertEvents(
        pb.ListAlertEventsRequest(alert_id=answer.alert.alert_id)
    )

    assert trace == events.events[0].traceparent
