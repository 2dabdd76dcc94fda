"""Whatever is sent, the answer is never INTERNAL or UNKNOWN, and the service lives on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.alert import running_alert
from support.any_messages import messages
from support.health import ready
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import backup_service_pb2 as hosts_pb
from tocsin.api.alert.v1 import event_pb2

if TYPE_CHECKING:
    from support.alert import RunningAlert

pytestmark = pytest.mark.postgres

ALERTS = "/tocsin.api.alert.v1.AlertService"
HOSTS = "/tocsin.api.alert.v1.BackupService"
NEVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}

ID = "0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a"
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
ids = st.sampled_from(["nas", "", "\0", "ж" * 256]) | anything
kinds = st.sampled_from(["backup_failed", "k", "K", ""]) | anything
uuids = st.sampled_from([ID, ID.upper(), ID[:-1]]) | st.uuids().map(str) | anything
enums = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 7)
numbers = st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 3)
revisions = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5)
labels = st.dictionaries(ids, ids, max_size=40)
stamps = st.builds(
    Timestamp,
    seconds=st.integers(-(2**63), 2**63 - 1) | st.integers(-62_135_596_801, 253_402_300_800),
    nanos=st.integers(-1, 10**9),
)
positions = st.builds(event_pb2.Position, epoch=uuids, revision=revisions)

raises = st.builds(
    pb.RaiseOrTouchRequest,
    host_id=ids,
    kind=kinds,
    dedup_key=ids,
    severity=enums,
    message=anything,
    cause=ids,
    labels=labels,
    observe_time=st.none() | stamps,
    request_id=ids,
)
BACKUPS = hosts_pb.DESCRIPTOR.services_by_name["BackupService"]
UNARY = [method for method in BACKUPS.methods if not method.client_streaming]
backup_requests = st.sampled_from(UNARY).flatmap(
    lambda method: st.tuples(st.just(f"{HOSTS}/{method.name}"), messages(method.input_type))
)
requests = st.one_of(
    st.tuples(st.just(f"{ALERTS}/RaiseOrTouch"), raises),
    st.tuples(
        st.just(f"{ALERTS}/BatchRaiseOrTouch"),
        st.builds(pb.BatchRaiseOrTouchRequest, requests=st.lists(raises, max_size=5)),
    ),
    st.tuples(
        st.just(f"{ALERTS}/AutoResolve"),
        st.builds(
            pb.AutoResolveRequest,
            host_id=ids,
            kind=kinds,
            dedup_key=ids,
            message=anything,
            observe_time=st.none() | stamps,
            request_id=ids,
        ),
    ),
    st.tuples(
        st.just(f"{ALERTS}/Acknowledge"),
        st.builds(
            pb.AcknowledgeRequest,
            alert_id=uuids,
            note=anything,
            on_behalf_of=ids,
            expire_time=st.none() | stamps,
            request_id=ids,
        ),
    ),
    st.tuples(
        st.just(f"{ALERTS}/Resolve"),
        st.builds(pb.ResolveRequest, alert_id=uuids, note=anything, on_behalf_of=ids),
    ),
    st.tuples(st.just(f"{ALERTS}/GetAlert"), st.builds(pb.GetAlertRequest, alert_id=uuids)),
    st.tuples(
        st.just(f"{ALERTS}/ListAlerts"),
        st.builds(
            pb.ListAlertsRequest,
            statuses=st.lists(enums, max_size=4),
            host_ids=st.lists(ids, max_size=4),
            kinds=st.lists(kinds, max_size=4),
            min_severity=enums,
            page_size=numbers,
            page_token=anything,
        ),
    ),
    st.tuples(
        st.just(f"{ALERTS}/ListAlertEvents"),
        st.builds(
            pb.ListAlertEventsRequest, alert_id=uuids, page_size=numbers, page_token=anything
        ),
    ),
    backup_requests,
)
watches = st.builds(
    pb.WatchEventsRequest,
    after=st.none() | positions,
    snapshot=st.booleans(),
    host_ids=st.lists(ids, max_size=4),
    kinds=st.lists(kinds, max_size=4),
    min_severity=enums,
    types=st.lists(enums, max_size=4),
)
METHODS = [
    *(f"{ALERTS}/{name}" for name in ("RaiseOrTouch", "BatchRaiseOrTouch", "AutoResolve")),
    *(f"{ALERTS}/{name}" for name in ("Acknowledge", "Resolve", "GetAlert", "ListAlerts")),
    f"{ALERTS}/ListAlertEvents",
    *(f"{HOSTS}/{method.name}" for method in UNARY),
]


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def assert_answered_well(alert: RunningAlert, method: str, raw: bytes) -> None:
    call: Any = alert.channel.unary_unary(method)
    assert await code_of(call(raw)) not in NEVER


async def assert_streamed_well(alert: RunningAlert, raw: bytes) -> None:
    begin: Any = alert.channel.unary_stream(f"{ALERTS}/WatchEvents")
    call = begin(raw)
    assert await code_of(call.read()) not in NEVER
    call.cancel()


async def assert_counted_well(alert: RunningAlert, raws: list[bytes]) -> None:
    call: Any = alert.channel.stream_unary(f"{HOSTS}/Heartbeats")
    assert await code_of(call(iter(raws))) not in NEVER


async def test_no_values_of_any_request_are_a_bug(alert_url: str) -> None:
    async with running_alert(alert_url) as alert:
        await in_many_examples(alert)
        await ready(alert.channel)


async def in_many_examples(alert: RunningAlert) -> None:
    """Hypothesis drives from a thread of its own, so that the service keeps its event loop."""
    loop = asyncio.get_running_loop()

    def wait_for(work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(20)

    quick = settings(
        max_examples=300,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

    @quick
    @given(requests)
    def answers(sent: tuple[str, Any]) -> None:
        wait_for(assert_answered_well(alert, sent[0], sent[1].SerializeToString()))

    @quick
    @given(watches)
    def streams(request: pb.WatchEventsRequest) -> None:
        wait_for(assert_streamed_well(alert, request.SerializeToString()))

    @quick
    @given(st.lists(messages(hosts_pb.HeartbeatsRequest.DESCRIPTOR), max_size=4))
    def heartbeats(sent: list[hosts_pb.HeartbeatsRequest]) -> None:
        wait_for(assert_counted_well(alert, [each.SerializeToString() for each in sent]))

    @quick
    @given(st.sampled_from(METHODS), st.binary(max_size=200))
    def garbage(method: str, raw: bytes) -> None:
        wait_for(assert_answered_well(alert, method, raw))
        wait_for(assert_streamed_well(alert, raw))
        wait_for(assert_counted_well(alert, [raw]))

    for examples in (answers, streams, heartbeats, garbage):
        await asyncio.to_thread(examples)
