"""A report that is seen to be sound at one look is read as it would be field by field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.alert.rpc.observations import Reports
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.errors import FieldViolation, InvalidArgumentError, PermissionDeniedError
from tocsin.common.rpc.caller import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.alert.ledger.commands import RaiseOrTouch

    Read = Callable[[pb.RaiseOrTouchRequest], RaiseOrTouch]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RECEIVED = int(NOW.timestamp())
PEER = Peer("orchestrator", "00-trace", is_person=False)

strange = st.text(
    st.sampled_from("ab \t\n\0\x1e\x1f\x7f\x85\u200f\u202e\u2028\ufeff\ufffe\ufffföß🔔"), max_size=5
)
long = st.sampled_from(
    [c * n for c in ("x", "ö", "🔔", "\0") for n in (64, 65, 128, 129, 256, 257)]
)
texts = st.just("") | st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | strange | long
kinds = (
    st.sampled_from(["backup_failed", "k", "a" * 63, "a" * 64, "K", "1a", "_a", "k\n", " k", "ö"])
    | strange
)
messages = texts | st.sampled_from(
    ["x" * 16_384, "x" * 16_385, "ö" * 8_193, "🔔" * 4_097, "x" * 20_000 + "\0"]
)
labels = st.dictionaries(texts, texts, max_size=3) | st.integers(31, 34).map(
    lambda count: {f"name-{number}": "" for number in range(count)}
)
stamps = st.builds(
    Timestamp,
    seconds=st.integers(-(2**63), 2**63 - 1)
    | st.integers(RECEIVED - 400, RECEIVED + 400)
    | st.sampled_from([0, -62_135_596_801, -62_135_596_800, 253_402_300_799, 253_402_300_800]),
    nanos=st.sampled_from([0, 1, 999, 1_000, 999_999_999, 1_000_000_000, -1, -(2**31)]),
)


fields: dict[str, st.SearchStrategy[object]] = {
    "host_id": texts,
    "kind": kinds,
    "dedup_key": texts,
    "severity": st.sampled_from([0, 1, 2, 3, 4, -1, 2**31 - 1, -(2**31)]),
    "message": messages,
    "cause": texts,
    "labels": labels,
    "observe_time": stamps,
    "request_id": texts,
}


@st.composite
def requests(draw: st.DrawFn) -> pb.RaiseOrTouchRequest:
    """Return a request, most often one with few faults: of many, one look must find only one."""
    given: dict[str, Any] = {
        "host_id": "nas",
        "kind": "backup_failed",
        "message": "exit 1",
        "cause": "io",
    }
    for name in draw(st.sets(st.sampled_from(sorted(fields)), max_size=3)):
        given[name] = draw(fields[name])
    return pb.RaiseOrTouchRequest(**given)


def result_of(
    read: Read, request: pb.RaiseOrTouchRequest
) -> RaiseOrTouch | tuple[FieldViolation, ...]:
    try:
        return read(request)
    except InvalidArgumentError as error:
        return tuple(error.violations)


@settings(max_examples=1_000)
@given(requests())
def test_one_look_finds_what_reading_field_by_field_does(request: pb.RaiseOrTouchRequest) -> None:
    reports = Reports(PEER, NOW)

    assert result_of(reports._read_carefully, request) == result_of(reports.read, request)


@given(requests(), st.frozensets(st.sampled_from(["nas", "", "x" * 64]), min_size=1))
def test_a_caller_that_is_bound_to_hosts_is_refused_any_other_whatever_else_is_wrong(
    request: pb.RaiseOrTouchRequest, host_ids: frozenset[str]
) -> None:
    bound = Peer("agent", "", host_ids, is_person=False)
    try:
        result_of(Reports(bound, NOW).read, request)
        refused = ""
    except PermissionDeniedError as error:
        refused = error.reason

    assert ("" if request.host_id in host_ids else "HOST_NOT_ALLOWED") == refused
