from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alert.domain.alert import (
    Acknowledgement,
    Alert,
    Resolution,
    ResolveReason,
    Severity,
    Status,
)
from tocsin.alert.domain.event import Event, EventType
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.eventlog.log import Record
from tocsin.alert.ledger.commands import ClearAnswer, RaiseAnswer
from tocsin.alert.rpc.convert import (
    alert_to_stub,
    clear_answer_to_stub,
    event_to_stub,
    item_error,
    raise_answer_to_stub,
)
from tocsin.alert.rpc.wire import encode_event
from tocsin.api.alert.v1 import alert_pb2, alert_service_pb2, event_pb2
from tocsin.common.errors import FieldViolation, InvalidArgumentError, UnavailableError
from tocsin.common.rpc.times import from_timestamp, to_timestamp

ID = UUID("0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a")
EPOCH = UUID("0190b5a8-0000-7000-8000-000000000001")
NOW = datetime(2026, 1, 1, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.datetimes(timezones=st.just(UTC))
alerts = st.builds(
    Alert,
    alert_id=st.uuids(),
    key=st.builds(Key, texts, texts, texts),
    host_name=texts,
    severity=st.sampled_from(Severity),
    message=texts,
    cause=texts,
    occurrences=st.integers(1, 2**62),
    raise_time=times,
    last_seen_time=times,
    version=st.integers(1, 2**62),
    labels=st.dictionaries(texts, texts, max_size=3),
    acknowledgement=st.none() | st.builds(Acknowledgement, times, texts, texts, times),
    resolution=st.none() | st.builds(Resolution, times, texts, st.sampled_from(ResolveReason)),
    previous_alert_id=st.none() | st.uuids(),
)


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (Severity, alert_pb2.Severity, "SEVERITY_"),
        (Status, alert_pb2.AlertStatus, "ALERT_STATUS_"),
        (ResolveReason, alert_pb2.ResolveReason, "RESOLVE_REASON_"),
        (EventType, event_pb2.AlertEventType, "ALERT_EVENT_TYPE_"),
        (RaiseOutcome, alert_service_pb2.RaiseOutcome, "RAISE_OUTCOME_"),
        (ClearOutcome, alert_service_pb2.ClearOutcome, "CLEAR_OUTCOME_"),
    ],
)
def test_each_enum_has_the_names_and_numbers_of_the_contract(
    ours: type[Severity], theirs: type[alert_pb2.Severity], prefix: str
) -> None:
    contract = {name.removeprefix(prefix): number for name, number in theirs.items() if number}

    assert contract == {member.name: member.value for member in ours}


@given(alerts)
def test_every_field_of_an_alert_is_told(alert: Alert) -> None:
    stub = alert_to_stub(alert)

    assert (str(alert.alert_id), alert.key) == (
        stub.alert_id,
        Key(stub.host_id, stub.kind, stub.dedup_key),
    )
    assert (alert.host_name, alert.message, alert.cause, dict(alert.labels)) == (
        stub.host_name,
        stub.message,
        stub.cause,
        dict(stub.labels),
    )
    assert (alert.severity.value, alert.status.value, alert.occurrences, alert.version) == (
        stub.severity,
        stub.status,
        stub.occurrences,
        stub.version,
    )
    assert (alert.raise_time, alert.last_seen_time) == (
        from_timestamp(stub.raise_time),
        from_timestamp(stub.last_seen_time),
    )
    assert str(alert.previous_alert_id or "") == stub.previous_alert_id


@given(alerts)
def test_who_acknowledged_and_resolved_is_told_only_when_somebody_did(alert: Alert) -> None:
    stub = alert_to_stub(alert)

    assert (alert.acknowledgement is not None) == stub.HasField("acknowledge_time")
    assert (alert.resolution is not None) == stub.HasField("resolve_time")
    if alert.acknowledgement is not None:
        assert alert.acknowledgement == Acknowledgement(
            from_timestamp(stub.acknowledge_time),
            stub.acknowledged_by,
            stub.acknowledge_note,
            from_timestamp(stub.acknowledge_expire_time),
        )
    if alert.resolution is not None:
        assert alert.resolution == Resolution(
            from_timestamp(stub.resolve_time),
            stub.resolved_by,
            ResolveReason(stub.resolve_reason),
        )


@given(alert=alerts, type_=st.sampled_from(EventType))
def test_an_event_comes_out_of_the_log_as_it_went_in_with_its_position(
    alert: Alert, type_: EventType
) -> None:
    later = NOW + timedelta(seconds=1)
    event = Event(ID, type_, alert, "anonymous", "ada", "a note", NOW, later, "")
    record = Record(7, encode_event(event))

    assert event_pb2.AlertEvent(
        position=event_pb2.Position(epoch=str(EPOCH), revision=7),
        event_id=str(ID),
        type=int(type_),  # type: ignore[arg-type]  # the numbers are the same
        alert=alert_to_stub(alert),
        actor="anonymous",
        on_behalf_of="ada",
        note="a note",
        occur_time=to_timestamp(NOW),
        record_time=to_timestamp(later),
    ) == event_to_stub(record, EPOCH)


def test_what_the_log_keeps_has_no_position() -> None:
    event = Event(ID, EventType.RAISED, an_alert(), "a", "", "", NOW, NOW, "")

    assert not event_pb2.AlertEvent.FromString(encode_event(event)).HasField("position")


def test_an_answer_without_an_alert_leaves_it_unset() -> None:
    cleared = clear_answer_to_stub(ClearAnswer(None, ClearOutcome.NOTHING_OPEN))
    stale = raise_answer_to_stub(RaiseAnswer(None, RaiseOutcome.STALE, replayed=True))

    assert not cleared.HasField("alert")
    assert not stale.HasField("alert")
    assert stale.replayed


def test_the_error_of_an_item_has_its_code_reason_and_fields() -> None:
    told = item_error(InvalidArgumentError.of([FieldViolation("kind", "must not be empty")]))

    assert (3, "kind: must not be empty") == (told.code, told.message)
    assert [("kind", "must not be empty")] == [
        (v.field, v.description) for v in told.field_violations
    ]


def test_the_error_of_an_item_that_was_not_tried_has_no_fields() -> None:
    told = item_error(UnavailableError("away"))

    assert (14, []) == (told.code, list(told.field_violations))


def an_alert() -> Alert:
    return Alert(ID, Key("h", "k", ""), "h", Severity.INFO, "", "", 1, NOW, NOW, 1)
