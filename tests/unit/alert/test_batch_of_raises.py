"""A batch says of each item what a call of its own would have said."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alert.domain.alert import Alert, Severity, Subject
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import RaiseOutcome
from tocsin.alert.ledger.commands import RaiseAnswer
from tocsin.alert.rpc.batch import BatchOfRaises
from tocsin.alert.rpc.convert import alert_to_stub, item_error, raise_answer_to_stub
from tocsin.alert.rpc.observations import _shared_labels, read_raise
from tocsin.api.alert.v1 import alert_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.errors import InvalidArgumentError, ResourceExhaustedError, UnavailableError
from tocsin.common.rpc import validate
from tocsin.common.rpc.caller import Peer
from tocsin.common.rpc.times import to_timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEER = Peer("anonymous", "")
ID = UUID("0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a")
ALERT = Alert(
    ID, Key("nas", "backup_failed", "photos"), "NAS", Severity.WARNING, "exit 1", "", 2, NOW, NOW, 3
)
TOUCHED = RaiseAnswer(ALERT, RaiseOutcome.TOUCHED)
STALE = RaiseAnswer(None, RaiseOutcome.STALE, replayed=True)
FULL = ResourceExhaustedError("Full.", reason="OVERLOADED")
AWAY = UnavailableError("Away.")


def item(host_id: str = "nas") -> pb.RaiseOrTouchRequest:
    return pb.RaiseOrTouchRequest(host_id=host_id, kind="backup_failed", labels={"disk": "sda"})


def batch_of(*items: pb.RaiseOrTouchRequest) -> BatchOfRaises:
    return BatchOfRaises(pb.BatchRaiseOrTouchRequest(requests=items), PEER, NOW)


def refusal_of(request: pb.RaiseOrTouchRequest) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        read_raise(request, PEER, NOW)
    return caught.value


def test_each_item_is_read_and_answered_as_a_call_alone() -> None:
    batch = batch_of(item("a"), item(""), item("b"), item("c"))
    response = pb.BatchRaiseOrTouchResponse.FromString(batch.response([TOUCHED, STALE, AWAY]))

    assert [read_raise(item(host), PEER, NOW) for host in "abc"] == batch.commands
    assert [
        pb.BatchRaiseOrTouchResult(response=raise_answer_to_stub(TOUCHED)),
        pb.BatchRaiseOrTouchResult(error=item_error(refusal_of(item("")))),
        pb.BatchRaiseOrTouchResult(response=raise_answer_to_stub(STALE)),
        pb.BatchRaiseOrTouchResult(error=item_error(AWAY)),
    ] == list(response.results)


def test_when_nothing_was_tried_the_call_itself_fails() -> None:
    with pytest.raises(ResourceExhaustedError):
        batch_of(item(), item()).response([FULL, AWAY])


def test_one_that_was_tried_is_answered_beside_those_that_were_not() -> None:
    answered = batch_of(item(), item()).response([AWAY, TOUCHED])
    results = pb.BatchRaiseOrTouchResponse.FromString(answered).results

    assert ["error", "response"] == [result.WhichOneof("result") for result in results]


def test_a_plain_request_is_read_without_spelling_out_its_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spelt: list[str] = []
    monkeypatch.setattr(validate, "shown", spelt.append)

    read_raise(item(), PEER, NOW)

    assert [] == spelt


def test_alerts_share_labels_that_are_alike_and_what_is_refused_is_not_kept() -> None:
    _shared_labels.cache_clear()
    one, other = (read_raise(item(host), PEER, NOW).failure.labels for host in "ab")
    refused = [
        refusal_of(pb.RaiseOrTouchRequest(host_id="a", kind="k", labels=labels))
        for labels in ({"disk": "x" * 257}, {str(number): "" for number in range(33)})
    ]

    assert {"disk": "sda"} == one
    assert one is other
    assert 1 == _shared_labels.cache_info().currsize
    assert ["labels[disk]", "labels"] == [error.violations[0].field for error in refused]


REFUSED = [{"disk": "a\0"}, {str(number): "" for number in range(33)}]
some_labels = st.sampled_from(
    [
        {},
        {"disk": "sda"},
        {"disk": "sdb"},
        {"disk": ""},
        {"bay": "sda"},
        {"disk": "sda", "bay": "1"},
        {"bay": "1", "disk": "sda"},
        *REFUSED,
    ]
)


@given(st.lists(some_labels, max_size=6))
def test_the_labels_of_an_item_are_its_own_whatever_those_before_it_bore(
    given_labels: list[dict[str, str]],
) -> None:
    items = [
        pb.RaiseOrTouchRequest(host_id="nas", kind="k", labels=labels) for labels in given_labels
    ]
    sound = [labels for labels in given_labels if labels not in REFUSED]

    read = [command.failure.labels for command in batch_of(item(), *items).commands]

    assert [{"disk": "sda"}, *sound] == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host_id", ""),
        ("host_id", "x" * 257),
        ("host_id", "a\0"),
        ("kind", ""),
        ("kind", "Backup"),
        ("kind", "x" * 64),
        ("kind", "backup_failed\n"),
        ("dedup_key", "x" * 257),
        ("dedup_key", "\0"),
        ("message", "\0"),
        ("cause", "x" * 257),
        ("cause", "\0"),
        ("severity", 7),
        ("observe_time", Timestamp(nanos=-1)),
        ("request_id", "x" * 129),
    ],
)
def test_what_one_look_finds_wrong_is_told_field_by_field(name: str, value: object) -> None:
    request = pb.RaiseOrTouchRequest(host_id="ö", kind="k", message="Fährt nicht")
    sound = read_raise(request, PEER, NOW)
    request.MergeFrom(pb.RaiseOrTouchRequest(**{name: value}))  # type: ignore[arg-type]
    if not value:
        request.ClearField("host_id" if name == "host_id" else "kind")

    assert ("ö", "Fährt nicht", NOW) == (
        sound.failure.key.host_id,
        sound.failure.message,
        sound.failure.observe_time,
    )
    assert [name] == [violation.field for violation in refusal_of(request).violations]


def test_a_time_at_the_epoch_and_names_of_the_subject_are_told() -> None:
    alert = ALERT._replace(
        raise_time=EPOCH,
        subject=Subject("group", "repository", "schedule"),
        host_labels={"site": "home"},
        suppressed_by=ID,
        objective_multiple=4,
    )

    stub = alert_to_stub(alert)

    assert stub.HasField("raise_time")
    assert (
        alert_pb2.Alert(
            alert_id=str(ID),
            host_id="nas",
            host_name="NAS",
            kind="backup_failed",
            dedup_key="photos",
            severity=alert_pb2.SEVERITY_WARNING,
            status=alert_pb2.ALERT_STATUS_OPEN,
            message="exit 1",
            occurrences=2,
            raise_time=to_timestamp(EPOCH),
            last_seen_time=to_timestamp(NOW),
            version=3,
            source_group_id="group",
            repository_id="repository",
            schedule_id="schedule",
            host_labels={"site": "home"},
            suppressed_by=str(ID),
            objective_multiple=4,
        )
        == stub
    )
