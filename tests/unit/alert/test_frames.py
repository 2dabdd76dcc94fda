"""Messages put together from bytes say what the stubs would have said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from support.eventlog import EPOCH
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.eventlog.frames import alert_frame, framing, message, varint
from tocsin.alert.eventlog.log import Entry
from tocsin.alert.eventlog.run import Run
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsResponse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
alerts = st.builds(
    alert_pb2.Alert,
    alert_id=st.uuids().map(str),
    message=texts,
    labels=st.dictionaries(texts, texts, max_size=3),
    severity=st.integers(0, 3),
    occurrences=st.integers(-(2**63), 2**63 - 1),
)
some_alerts = st.lists(alerts, max_size=3)
some_events = st.lists(
    st.builds(
        event_pb2.AlertEvent,
        event_id=st.uuids().map(str),
        type=st.integers(-(2**31), 2**31 - 1),
        alert=st.none() | alerts,
        note=texts,
    ),
    max_size=4,
)
some_revisions = st.integers(0, 2**63 - 10)
BIG = event_pb2.AlertEvent(note="x" * 70_000)


def by_definition(number: int) -> bytes:
    """See https://protobuf.dev/programming-guides/encoding/#varints."""
    low, high = number & 0x7F, number >> 7
    return bytes((0x80 | low,)) + by_definition(high) if high else bytes((low,))


def test_every_length_up_to_three_bytes_is_the_varint_of_the_definition() -> None:
    for number in (*range(2**14 + 2**8), *range(2**14, 2**21, 61), 2**21 - 1, 2**21, 2**21 + 1):
        assert by_definition(number) == varint(number)


@given(st.integers(0, 2**63 - 2) | st.integers(0, 62).map(lambda bits: 2**bits - 1))
def test_every_number_is_the_varint_of_the_definition(number: int) -> None:
    assert by_definition(number) == varint(number)
    assert by_definition(number + 1) == varint(number + 1)


def by_stubs(
    payloads: Sequence[bytes], epoch: UUID, after: int, *, caught_up: bool
) -> WatchEventsResponse:
    response = WatchEventsResponse(caught_up=caught_up)
    for revision, payload in enumerate(payloads, start=after + 1):
        event = response.events.add()
        event.MergeFromString(payload)
        event.position.epoch, event.position.revision = str(epoch), revision
    last = after + len(payloads)
    response.position.epoch, response.position.revision = str(epoch), last
    return response


def run_of(payloads: Sequence[bytes], epoch: UUID, after: int) -> Run:
    frame = framing(epoch)
    numbered = enumerate(payloads, start=after + 1)
    return Run(
        epoch,
        after,
        tuple(
            Entry(number, "", "", number % 3, 0, frame(number, each)) for number, each in numbered
        ),
    )


@given(some_events, st.uuids(), some_revisions, st.booleans())
def test_a_message_of_frames_is_the_message_of_the_stubs(
    events: list[event_pb2.AlertEvent], epoch: UUID, after: int, caught_up: bool
) -> None:
    payloads = [event.SerializeToString() for event in (*events, BIG)]
    made = run_of(payloads, epoch, after).message(EventFilter(), caught_up=caught_up)
    assert made is not None
    expected = by_stubs(payloads, epoch, after, caught_up=caught_up)
    response = WatchEventsResponse.FromString(made)
    assert expected == response
    # The same fields and nothing unknown: written again, both are the same bytes.
    assert expected.SerializeToString(deterministic=True) == response.SerializeToString(
        deterministic=True
    )


@given(some_alerts, st.uuids(), some_revisions, st.booleans(), st.booleans())
def test_a_message_of_a_snapshot_is_the_message_of_the_stubs(
    alerts: list[alert_pb2.Alert], epoch: UUID, revision: int, caught_up: bool, complete: bool
) -> None:
    expected = WatchEventsResponse(
        snapshot_alerts=alerts,
        position=event_pb2.Position(epoch=str(epoch), revision=revision),
        caught_up=caught_up,
        snapshot_complete=complete,
    )
    made = message(
        (alert_frame(each.SerializeToString()) for each in alerts),
        epoch,
        revision,
        caught_up=caught_up,
        snapshot_complete=complete,
    )
    assert expected == WatchEventsResponse.FromString(made)


@given(st.integers(1, 9), st.uuids(), some_revisions)
def test_with_a_filter_a_message_has_what_is_wanted_and_the_position_of_all(
    count: int, epoch: UUID, after: int
) -> None:
    run = run_of([b""] * count, epoch, after)
    made = run.message(EventFilter(min_severity=2), caught_up=False)
    wanted = [number for number in range(after + 1, after + 1 + count) if number % 3 == 2]
    if not wanted:
        assert made is None
        return
    assert made is not None
    response = WatchEventsResponse.FromString(made)
    assert wanted == [event.position.revision for event in response.events]
    assert after + count == response.position.revision


def test_no_entries_make_no_message() -> None:
    assert run_of([], EPOCH, 5).message(EventFilter(), caught_up=True) is None
