"""What becomes of a request before it reaches the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.domain.event import Position
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Caller, Failure, Success
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.ledger.commands import Acknowledge, RaiseOrTouch, Resolve
from tocsin.alert.rpc.acts import read_acknowledge, read_resolve
from tocsin.alert.rpc.lists import read_alerts_query
from tocsin.alert.rpc.observations import fingerprint, read_clear, read_raise
from tocsin.alert.rpc.streams import read_watch
from tocsin.alert.rpc.watch import WatchRequest
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.errors import InvalidArgumentError
from tocsin.common.rpc.caller import Peer
from tocsin.common.rpc.times import to_timestamp

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = UUID("0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a")
RAISED = event_pb2.ALERT_EVENT_TYPE_RAISED
RESOLVED = event_pb2.ALERT_EVENT_TYPE_RESOLVED
PEER = Peer("anonymous", "", is_person=False)
CALLER = Caller("anonymous")


def raise_request(**fields: Any) -> pb.RaiseOrTouchRequest:
    return pb.RaiseOrTouchRequest(**{"host_id": "nas", "kind": "backup_failed", **fields})


def test_a_report_of_the_least_has_the_defaults() -> None:
    key = Key("nas", "backup_failed", "")

    assert RaiseOrTouch(Failure(key, NOW, Severity.WARNING), CALLER) == (
        read_raise(raise_request(), PEER, NOW)
    )


def test_a_report_of_everything_is_taken_as_it_is() -> None:
    seen = NOW - timedelta(hours=1)
    request = raise_request(
        dedup_key="photos",
        severity=3,
        message="exit 1",
        cause="locked",
        labels={"disk": "sda"},
        observe_time=to_timestamp(seen),
        request_id="r-1",
    )

    command = read_raise(request, Peer("ada", "00-trace"), NOW)

    assert Failure(
        Key("nas", "backup_failed", "photos"),
        seen,
        Severity.CRITICAL,
        "exit 1",
        "locked",
        {"disk": "sda"},
    ) == (command.failure)
    assert Caller("ada", traceparent="00-trace", is_person=True) == command.caller
    assert command.request is not None
    assert "r-1" == command.request.request_id


def test_the_note_of_a_success_is_cut_and_never_refused() -> None:
    request = pb.AutoResolveRequest(host_id="nas", kind="backup_failed", message="x" * 5000)

    success: Success = read_clear(request, PEER, NOW).success

    assert 4096 == len(success.message)


@pytest.mark.parametrize(
    "other",
    [
        raise_request(message="two"),
        raise_request(labels={"a": "1"}),
        raise_request(observe_time=Timestamp(nanos=1)),
    ],
)
def test_another_content_has_another_fingerprint(other: Any) -> None:
    assert fingerprint("RaiseOrTouch", raise_request()) != fingerprint("RaiseOrTouch", other)


def test_a_fingerprint_knows_neither_the_request_id_nor_the_order_of_labels() -> None:
    one = raise_request(request_id="1", labels={"a": "1", "b": "2", "c": "3"})
    two = raise_request(request_id="2", labels={"c": "3", "b": "2", "a": "1"})

    assert fingerprint("RaiseOrTouch", one) == fingerprint("RaiseOrTouch", two)
    assert fingerprint("RaiseOrTouch", one) != fingerprint("AutoResolve", one)
    assert "1" == one.request_id, "the request is left as it was"


def test_an_acknowledgement_stands_for_24_hours_unless_said_otherwise() -> None:
    request = pb.AcknowledgeRequest(alert_id=str(ID), note="mine", on_behalf_of="ada")

    assert Acknowledge(
        ID, "mine", NOW + timedelta(hours=24), Caller("anonymous", "ada")
    ) == read_acknowledge(request, PEER, NOW)


@pytest.mark.parametrize("ahead", [timedelta(microseconds=1), timedelta(days=366)])
def test_an_acknowledgement_may_stand_up_to_366_days(ahead: timedelta) -> None:
    request = pb.AcknowledgeRequest(alert_id=str(ID), expire_time=to_timestamp(NOW + ahead))

    assert NOW + ahead == read_acknowledge(request, PEER, NOW).expire_time


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(days=366, microseconds=1)])
def test_an_acknowledgement_ends_in_the_future_and_not_after_366_days(ahead: timedelta) -> None:
    request = pb.AcknowledgeRequest(alert_id=str(ID), expire_time=to_timestamp(NOW + ahead))

    with pytest.raises(InvalidArgumentError, match="expire_time"):
        read_acknowledge(request, PEER, NOW)


def test_a_resolve_is_read() -> None:
    request = pb.ResolveRequest(alert_id=str(ID), note="done", on_behalf_of="ada")

    assert Resolve(ID, "done", Caller("anonymous", "ada")) == read_resolve(request, PEER)


def test_a_list_without_statuses_is_of_what_stands() -> None:
    query = read_alerts_query(pb.ListAlertsRequest())

    assert (frozenset({Status.OPEN, Status.ACKNOWLEDGED}), None, 100) == (
        query.wanted.statuses,
        query.after,
        query.size,
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.WatchEventsRequest(), WatchRequest()),
        (pb.WatchEventsRequest(snapshot=True), WatchRequest(snapshot=True)),
        (pb.WatchEventsRequest(after=event_pb2.Position()), WatchRequest(from_oldest=True)),
        (
            pb.WatchEventsRequest(after=event_pb2.Position(epoch=str(ID), revision=7)),
            WatchRequest(after=Position(ID, 7)),
        ),
        (
            pb.WatchEventsRequest(after=event_pb2.Position(epoch=str(ID))),
            WatchRequest(after=Position(ID, 0)),
        ),
        (
            pb.WatchEventsRequest(
                host_ids=["a"],
                kinds=["k"],
                min_severity=alert_pb2.SEVERITY_WARNING,
                types=[RAISED, RESOLVED, RESOLVED],
            ),
            WatchRequest(
                wanted=EventFilter(frozenset(["a"]), frozenset(["k"]), 2, frozenset([1, 6]))
            ),
        ),
    ],
)
def test_a_watch_starts_where_it_is_asked_to(
    request_: pb.WatchEventsRequest, expected: WatchRequest
) -> None:
    assert expected == read_watch(request_)
