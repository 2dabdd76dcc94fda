from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from support.alert_stubs import (
    EPOCH,
    OTHER_EPOCH,
    acknowledged,
    alert_id,
    an_alert,
    an_event,
    at,
    resolved,
)
from tocsin.api.alert.v1.alert_pb2 import (
    ALERT_STATUS_OPEN,
    ALERT_STATUS_RESOLVED,
    RESOLVE_REASON_UNSPECIFIED,
    SEVERITY_CRITICAL,
    SEVERITY_WARNING,
    Alert,
)
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_ACKNOWLEDGED,
    ALERT_EVENT_TYPE_RESOLVED,
    AlertEvent,
    AlertEventType,
    Position,
)
from tocsin.client.diff import ACTOR, VANISHED, apply_event, synthetic_events
from tocsin.client.known import KnownAlerts

HERE = Position(epoch=EPOCH, revision=40)
NOW = at(1000)


def told(
    known: list[Alert],
    snapshot: list[Alert],
    gone: dict[str, Alert | None] | None = None,
    position: Position = HERE,
) -> list[AlertEvent]:
    return list(synthetic_events(by_id(known), by_id(snapshot), gone or {}, position, NOW))


def by_id(alerts: list[Alert]) -> dict[str, Alert]:
    return {each.alert_id: each for each in alerts}


def names(events: list[AlertEvent]) -> list[str]:
    return [AlertEventType.Name(each.type).removeprefix("ALERT_EVENT_TYPE_") for each in events]


def state(alert: Alert) -> tuple[object, ...]:
    """What events tell of an alert."""
    return (
        alert.status,
        alert.severity,
        alert.cause,
        alert.acknowledge_time.ToNanoseconds(),
        alert.acknowledged_by,
        alert.acknowledge_note,
        alert.acknowledge_expire_time.ToNanoseconds(),
    )


def test_nothing_is_told_of_an_alert_that_only_was_touched() -> None:
    touched = an_alert(1, occurrences=5, version=5, message="again", last_seen_time=at(50))

    assert told([an_alert(1)], [touched]) == []


def test_an_alert_that_no_longer_follows_from_another_is_told_last() -> None:
    root = alert_id(9)
    before = an_alert(1, suppressed_by=root)
    after = an_alert(1, severity=SEVERITY_CRITICAL, version=3)

    events = told([before], [after])

    assert ["SEVERITY_CHANGED", "UNSUPPRESSED"] == names(events)
    assert [root, ""] == [each.alert.suppressed_by for each in events]
    assert after == events[-1].alert
    assert [] == told([before], [before])


def test_a_new_alert_is_raised_at_the_time_of_its_failure() -> None:
    (event,) = told([], [an_alert(1)])

    assert names([event]) == ["RAISED"]
    assert event.alert == an_alert(1)
    assert at(1) == event.occur_time
    assert event.position == HERE
    assert event.actor == ACTOR
    assert at(1000) == event.record_time


def test_a_new_alert_that_is_acknowledged_is_raised_first() -> None:
    raised, acked = told([], [acknowledged(1)])

    assert names([raised, acked]) == ["RAISED", "ACKNOWLEDGED"]
    assert raised.alert.status == ALERT_STATUS_OPEN
    assert raised.alert.acknowledged_by == ""
    assert not raised.alert.HasField("acknowledge_time")
    assert acknowledged(1) == acked.alert
    assert at(100) == acked.occur_time


def test_an_alert_that_is_gone_ends_as_the_service_remembers_it() -> None:
    (event,) = told([an_alert(1)], [], {alert_id(1): resolved(1)})

    assert names([event]) == ["RESOLVED"]
    assert resolved(1) == event.alert
    assert at(200) == event.occur_time


def test_an_alert_that_the_service_no_longer_knows_ends_with_a_note_that_says_so() -> None:
    (event,) = told([an_alert(1)], [], {alert_id(1): None})

    assert names([event]) == ["RESOLVED"]
    assert event.alert.status == ALERT_STATUS_RESOLVED
    assert event.alert.resolve_reason == RESOLVE_REASON_UNSPECIFIED
    assert event.alert.resolved_by == ACTOR
    assert event.alert.resolve_time == NOW
    assert event.alert.version == 2
    assert event.alert.message == "exit code 1"
    assert event.note == VANISHED


def test_an_alert_that_left_the_filters_is_told_as_changed() -> None:
    before = an_alert(1, severity=SEVERITY_CRITICAL)

    events = told([before], [], {alert_id(1): an_alert(1)})

    assert names(events) == ["SEVERITY_CHANGED"]


def test_an_acknowledgement_is_broken_before_severity_and_cause_change() -> None:
    before = acknowledged(1)
    after = an_alert(
        1, severity=SEVERITY_CRITICAL, cause="locked", version=5, last_seen_time=at(300)
    )

    broken, severity, cause = told([before], [after])

    assert names([broken, severity, cause]) == [
        "UNACKNOWLEDGED",
        "SEVERITY_CHANGED",
        "CAUSE_CHANGED",
    ]
    assert broken.alert.severity == SEVERITY_WARNING
    assert broken.alert.status == ALERT_STATUS_OPEN
    assert broken.alert.cause == severity.alert.cause == ""
    assert severity.alert.severity == SEVERITY_CRITICAL
    assert after == cause.alert
    assert [at(300)] * 3 == [broken.occur_time, severity.occur_time, cause.occur_time]


def test_an_alert_that_was_acknowledged_after_it_got_worse_is_told_in_that_order() -> None:
    after = acknowledged(1, severity=SEVERITY_CRITICAL, version=4)

    severity, acked = told([an_alert(1)], [after])

    assert names([severity, acked]) == ["SEVERITY_CHANGED", "ACKNOWLEDGED"]
    assert severity.alert.status == ALERT_STATUS_OPEN
    assert after == acked.alert


def test_an_acknowledgement_that_expired_ended_at_its_expiry() -> None:
    before = acknowledged(1, acknowledge_expire_time=at(500))

    (event,) = told([before], [an_alert(1, version=3)])

    assert names([event]) == ["UNACKNOWLEDGED"]
    assert at(500) == event.occur_time


def test_an_acknowledgement_that_vanished_before_its_expiry_ended_now() -> None:
    (event,) = told([acknowledged(1)], [an_alert(1)])

    assert event.occur_time == NOW


def test_another_acknowledgement_is_told_as_the_end_of_the_first_one() -> None:
    after = acknowledged(1, when=700, by="bob", version=4)

    events = told([acknowledged(1)], [after])

    assert names(events) == ["UNACKNOWLEDGED", "ACKNOWLEDGED"]
    assert events[-1].alert == after


def test_what_went_back_with_a_restore_is_told_although_its_version_fell() -> None:
    before = an_alert(1, severity=SEVERITY_CRITICAL, cause="locked", version=9)

    events = told([before], [an_alert(1, version=2)])

    assert names(events) == ["SEVERITY_CHANGED", "CAUSE_CHANGED"]
    assert events[-1].alert == an_alert(1, version=2)


def test_ends_come_before_beginnings_so_that_a_key_is_free_again() -> None:
    later = an_alert(2, dedup_key="home")
    earlier = an_alert(3, dedup_key="home")

    events = told([earlier], [later], {alert_id(3): None})

    assert names(events) == ["RESOLVED", "RAISED"]


def test_the_same_comparison_gives_the_same_ids_wherever_it_is_made_from() -> None:
    later = Position(epoch=EPOCH, revision=99)

    first = told([acknowledged(2)], [an_alert(1)], {alert_id(2): None})
    again = told([acknowledged(2)], [an_alert(1)], {alert_id(2): None}, later)

    assert [each.event_id for each in first] == [each.event_id for each in again]


def test_ids_are_others_in_another_epoch() -> None:
    elsewhere = Position(epoch=OTHER_EPOCH, revision=40)

    (here,) = told([], [an_alert(1)])
    (there,) = told([], [an_alert(1)], {}, elsewhere)

    assert UUID(here.event_id) != UUID(there.event_id)


def test_a_known_alert_does_not_keep_the_message_that_it_came_in() -> None:
    known = KnownAlerts()
    event = an_event(1, an_alert(1))
    apply_event(known, event)
    event.alert.message = "of the message only"
    assert [an_alert(1)] == list(known.values())


def test_an_event_brings_what_is_known_up_to_date() -> None:
    known: dict[str, Alert] = {}

    apply_event(known, an_event(1, an_alert(1)))
    apply_event(known, an_event(2, acknowledged(1), ALERT_EVENT_TYPE_ACKNOWLEDGED))
    assert by_id([acknowledged(1)]) == known

    apply_event(known, an_event(3, resolved(1), ALERT_EVENT_TYPE_RESOLVED))
    apply_event(known, an_event(4, resolved(2), ALERT_EVENT_TYPE_RESOLVED))
    assert known == {}


@st.composite
def open_alerts(draw: st.DrawFn) -> dict[str, Alert]:
    """Alerts that are not resolved, few enough for two draws to share some."""
    alerts = []
    for number in draw(st.sets(st.integers(1, 5))):
        fields = {
            "severity": draw(st.integers(1, 3)),
            "cause": draw(st.sampled_from(["", "locked", "wrong_password"])),
            "version": draw(st.integers(1, 4)),
            "last_seen_time": at(draw(st.integers(1, 3))),
        }
        if draw(st.booleans()):
            when, by = draw(st.integers(100, 102)), draw(st.sampled_from(["ann", "bob"]))
            alerts.append(acknowledged(number, when=when, by=by, **fields))
        else:
            alerts.append(an_alert(number, **fields))
    return by_id(alerts)


@st.composite
def comparisons(
    draw: st.DrawFn,
) -> tuple[dict[str, Alert], dict[str, Alert], dict[str, Alert | None]]:
    known, snapshot = draw(open_alerts()), draw(open_alerts())
    gone = {
        each: resolved(number) if draw(st.booleans()) else None
        for number in range(1, 6)
        if (each := alert_id(number)) in known.keys() - snapshot.keys()
    }
    return known, snapshot, gone


@settings(max_examples=400)
@given(comparisons())
def test_what_was_known_and_the_difference_make_the_snapshot(
    comparison: tuple[dict[str, Alert], dict[str, Alert], dict[str, Alert | None]],
) -> None:
    known, snapshot, gone = comparison
    reached = dict(known)
    for event in synthetic_events(known, snapshot, gone, HERE, NOW):
        apply_event(reached, event)

    assert {each: state(alert) for each, alert in snapshot.items()} == {
        each: state(alert) for each, alert in reached.items()
    }


@given(comparisons())
def test_every_event_changes_what_it_names_and_has_an_id_of_its_own(
    comparison: tuple[dict[str, Alert], dict[str, Alert], dict[str, Alert | None]],
) -> None:
    known, snapshot, gone = comparison
    reached = dict(known)
    seen: set[str] = set()
    for event in synthetic_events(known, snapshot, gone, HERE, NOW):
        before = reached.get(event.alert.alert_id)
        assert before is None or state(before) != state(event.alert)
        assert event.event_id not in seen
        assert event.HasField("occur_time")
        seen.add(event.event_id)
        apply_event(reached, event)


@given(open_alerts())
def test_a_snapshot_of_what_was_known_tells_nothing(known: dict[str, Alert]) -> None:
    assert list(synthetic_events(known, dict(known), {}, HERE, NOW)) == []
