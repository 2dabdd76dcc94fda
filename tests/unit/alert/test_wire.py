"""Messages that are put together from bytes are those that the stubs would make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alert.domain.alert import (
    NO_LABELS,
    NOTHING_NAMED,
    Acknowledgement,
    Alert,
    Resolution,
    ResolveReason,
    Severity,
    Subject,
)
from tocsin.alert.domain.event import Event, EventType
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import RaiseOutcome
from tocsin.alert.ledger.commands import RaiseAnswer
from tocsin.alert.rpc import wire
from tocsin.alert.rpc.convert import alert_to_stub, item_error, raise_answer_to_stub
from tocsin.alert.rpc.wire import batch_response, encode_event, encode_raise_answer
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.errors import UnavailableError

if TYPE_CHECKING:
    import pytest

ID = UUID("0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALERT = Alert(
    ID, Key("nas", "backup_failed", "photos"), "NAS", Severity.WARNING, "exit 1", "", 1, NOW, NOW, 1
)

OTHER_ID = UUID("0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6b")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
long_texts = texts | st.sampled_from(["x" * 16_384, "\N{BELL}" * 4_096, "x" * 127, "x" * 128])
times = st.datetimes(timezones=st.just(UTC))
few_times = st.sampled_from([NOW, NOW - timedelta(days=1), datetime(1970, 1, 1, tzinfo=UTC)])
ids = st.sampled_from([ID, OTHER_ID])
labels = st.sampled_from(
    [NO_LABELS, {"site": "home"}, {"site": ""}, {"a": "1", "b": "2"}, {"x" * 64: "\N{BELL}" * 256}]
)
counts = st.sampled_from([1, 127, 128]) | st.integers(0, 2**63 - 1)
# Few different ones, of one id: what is kept of one is of use, or no longer true, for the next.
alerts = st.builds(
    Alert,
    alert_id=st.just(ID),
    key=st.builds(Key, st.sampled_from(["a", "b"]), st.just("k"), st.sampled_from(["", "ö"])),
    host_name=st.sampled_from(["", "a"]),
    severity=st.sampled_from(Severity),
    message=long_texts,
    cause=st.sampled_from(["", "io"]),
    occurrences=counts,
    raise_time=few_times,
    last_seen_time=times | few_times,
    version=counts,
    labels=labels,
    acknowledgement=st.none()
    | st.builds(
        Acknowledgement, few_times, st.just("ada"), st.sampled_from(["", "on it"]), few_times
    ),
    resolution=st.none()
    | st.builds(
        Resolution, few_times, st.sampled_from(["", "ada"]), st.sampled_from(ResolveReason)
    ),
    previous_alert_id=st.none() | ids,
    host_labels=labels,
    subject=st.sampled_from([NOTHING_NAMED, Subject(), Subject("photos"), Subject("", "r", "s")]),
    suppressed_by=st.none() | ids,
    objective_multiple=st.sampled_from([0, 1, 2**31 - 1]),
)
answers = st.builds(RaiseAnswer, st.none() | alerts, st.sampled_from(RaiseOutcome), st.booleans())


@given(st.lists(answers | st.just(item_error(UnavailableError("Away."))), max_size=5))
def test_a_batch_is_answered_by_the_message_that_the_stubs_make(
    results: list[RaiseAnswer | pb.ItemError],
) -> None:
    expected = pb.BatchRaiseOrTouchResponse()
    for result in results:
        if isinstance(result, pb.ItemError):
            expected.results.add(error=result)
        else:
            expected.results.add(response=raise_answer_to_stub(result))

    assert expected == pb.BatchRaiseOrTouchResponse.FromString(batch_response(results))


events = st.builds(
    Event, ids, st.sampled_from(EventType), alerts, texts, texts, texts, times, times, texts
)


@given(events)
def test_an_event_is_the_message_that_the_stubs_make(event: Event) -> None:
    expected = event_pb2.AlertEvent(
        event_id=str(event.event_id),
        type=int(event.type),  # type: ignore[arg-type]  # the numbers are the same
        alert=alert_to_stub(event.alert),
        actor=event.actor,
        on_behalf_of=event.on_behalf_of,
        note=event.note,
        traceparent=event.traceparent,
    )
    expected.occur_time.FromDatetime(event.occur_time)
    expected.record_time.FromDatetime(event.record_time)

    assert expected == event_pb2.AlertEvent.FromString(encode_event(event))


def test_a_touch_of_an_alert_that_was_told_before_is_told_without_its_other_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode_raise_answer(RaiseAnswer(ALERT, RaiseOutcome.RAISED))
    monkeypatch.setattr(wire, "fill_lasting", None)

    touched = ALERT.seen_again("NAS", "exit 2", NOW + timedelta(minutes=1))
    answer = encode_raise_answer(RaiseAnswer(touched, RaiseOutcome.TOUCHED))

    assert alert_to_stub(touched) == pb.RaiseOrTouchResponse.FromString(answer).alert


@given(alerts, texts, times)
def test_seen_again_an_alert_is_the_same_in_all_else(
    alert: Alert, message: str, time: datetime
) -> None:
    expected = alert._replace(
        host_name="NAS",
        message=message,
        occurrences=alert.occurrences + 1,
        last_seen_time=time,
        version=alert.version + 1,
    )

    assert expected == alert.seen_again("NAS", message, time)


def test_no_more_is_kept_than_of_the_alerts_of_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_KEPT_ALERTS", 3)
    monkeypatch.setattr(wire, "_kept", {})

    for number in range(10):
        alert = ALERT._replace(alert_id=UUID(int=number))
        encode_raise_answer(RaiseAnswer(alert, RaiseOutcome.RAISED))
        assert len(wire._kept) <= 3


def test_neither_messages_nor_what_has_very_many_labels_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "_kept", {})
    labels = {f"label-{number}": "x" * 256 for number in range(32)}

    for alert in (ALERT, ALERT._replace(alert_id=OTHER_ID, labels=labels)):
        told = alert._replace(message="a long message")
        answer = encode_raise_answer(RaiseAnswer(told, RaiseOutcome.RAISED))
        assert alert_to_stub(told) == pb.RaiseOrTouchResponse.FromString(answer).alert

    assert {ID} == wire._kept.keys()
    assert "a long message" not in str(wire._kept)


def test_every_field_but_those_that_a_touch_changes_is_kept() -> None:
    """A field that is added to Alert must be compared, or left out of what is kept."""
    touched = {"message", "occurrences", "last_seen_time", "version"}
    other = Alert(*(object() for _ in Alert._fields))  # type: ignore[arg-type]

    told = {
        name
        for name in Alert._fields
        if wire._lasting_fields(ALERT)
        == wire._lasting_fields(ALERT._replace(**{name: getattr(other, name)}))
    }

    assert touched == told
    assert touched <= {field.name for field in alert_pb2.Alert.DESCRIPTOR.fields}
