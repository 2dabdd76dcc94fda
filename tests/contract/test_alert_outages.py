"""The database is away, or the service stops: what callers are told, and how soon."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.alert import running_alert
from support.health import ready, unready
from support.postgres import migrations_of, running_cluster
from support.refusals import Refusal, refusal_of
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import backup_service_pb2 as hosts_pb
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.common.postgres.migrator import migrate
from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from support.alert import RunningAlert
    from tocsin.common.postgres.embedded import Binaries, Cluster

pytestmark = pytest.mark.postgres

ID = "0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a"
RAISE = pb.RaiseOrTouchRequest(host_id="nas", kind="backup_failed", request_id="r-1")
PROMISED_SECONDS = 2.0
BUSY_SECONDS = 3.0
"""What a machine that runs many tests at once may add."""


def every_call(alert: RunningAlert) -> Iterator[Awaitable[Any]]:
    """One call of each kind: a change, a batch, an act, a read, a list, streams, the registry."""
    yield alert.alerts.RaiseOrTouch(RAISE)
    yield alert.alerts.BatchRaiseOrTouch(pb.BatchRaiseOrTouchRequest(requests=[RAISE]))
    yield alert.alerts.Acknowledge(pb.AcknowledgeRequest(alert_id=ID))
    yield alert.alerts.GetAlert(pb.GetAlertRequest(alert_id=ID))
    yield alert.alerts.ListAlerts(pb.ListAlertsRequest())
    yield alert.alerts.ListAlertEvents(pb.ListAlertEventsRequest(alert_id=ID))
    yield alert.alerts.WatchEvents(pb.WatchEventsRequest()).read()
    yield alert.alerts.WatchEvents(pb.WatchEventsRequest(snapshot=True)).read()
    yield alert.backups.PutHost(hosts_pb.PutHostRequest(host_id="nas"))
    yield alert.backups.GetHost(hosts_pb.GetHostRequest(host_id="nas"))


async def timed(call: Awaitable[Any]) -> tuple[Refusal, float]:
    begin = time.monotonic()
    return await refusal_of(call), time.monotonic() - begin


async def assert_unavailable_in_time(alert: RunningAlert) -> None:
    for refusal, seconds in await asyncio.gather(*map(timed, every_call(alert))):
        assert (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE") == (
            refusal.code,
            refusal.reason,
        )
        assert refusal.retry_after is not None
        assert seconds <= PROMISED_SECONDS + BUSY_SECONDS


@pytest.fixture
def durable_cluster(postgres_binaries: Binaries) -> Iterator[Cluster]:
    """A server that forgets nothing when it is killed."""
    with running_cluster(postgres_binaries, {"log_min_messages": "fatal"}) as cluster:
        yield cluster


async def test_a_database_that_is_gone_makes_calls_unavailable_until_it_is_back(
    durable_cluster: Cluster,
) -> None:
    url = await asyncio.to_thread(durable_cluster.create_database, "tocsin_alert")
    await migrate(url, migrations_of("alert"))
    async with running_alert(url) as alert:
        await asyncio.to_thread(durable_cluster.kill)
        await assert_unavailable_in_time(alert)
        await unready(alert.channel)

        await asyncio.to_thread(durable_cluster.start)
        await ready(alert.channel)

        answer = await alert.alerts.RaiseOrTouch(RAISE)
        assert pb.RAISE_OUTCOME_RAISED == answer.outcome


async def test_a_database_that_hangs_makes_calls_unavailable_too(own_cluster: Cluster) -> None:
    url = await asyncio.to_thread(own_cluster.create_database, "tocsin_alert")
    await migrate(url, migrations_of("alert"))
    async with running_alert(url) as alert:
        stopped = stop_all_of(own_cluster)
        try:
            await assert_unavailable_in_time(alert)
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)
        await ready(alert.channel)
        await alert.alerts.ListAlerts(pb.ListAlertsRequest())


def stop_all_of(cluster: Cluster) -> list[int]:
    """Freeze the server with all of its processes."""
    assert cluster.pid is not None
    processes = [cluster.pid, *children_of(cluster.pid)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    return processes


def children_of(parent: int) -> Iterator[int]:
    """Read the children of a process from /proc; see proc_pid_stat(5) for the fields."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                yield int(folder.name)


async def test_a_service_that_stops_ends_its_streams_with_a_hint_to_try_again(
    alert: RunningAlert,
) -> None:
    async with open_channel(alert.target) as channel:
        stub = AlertServiceStub(channel)
        watch = stub.WatchEvents(pb.WatchEventsRequest())
        first: Any = await watch.read()
        assert first.caught_up

        stopping = asyncio.create_task(alert.app.stop())
        refusal = await refusal_of(watch.read())
        await stopping

        assert (grpc.StatusCode.UNAVAILABLE, "DRAINING") == (refusal.code, refusal.reason)
        assert refusal.retry_after is not None
        assert grpc.StatusCode.UNAVAILABLE is (await refusal_of(stub.RaiseOrTouch(RAISE))).code


async def test_what_was_taken_on_before_a_stop_is_answered(alert: RunningAlert) -> None:
    async with open_channel(alert.target) as channel:
        stub = AlertServiceStub(channel)
        calls = [
            asyncio.ensure_future(
                stub.RaiseOrTouch(pb.RaiseOrTouchRequest(host_id=f"h{n}", kind="backup_failed"))
            )
            for n in range(200)
        ]
        await calls[0]
        await alert.app.stop()
        ends: list[Any] = await asyncio.gather(*calls, return_exceptions=True)

    for end in ends:
        if isinstance(end, grpc.aio.AioRpcError):
            assert grpc.StatusCode.UNAVAILABLE is end.code()
        else:
            assert pb.RAISE_OUTCOME_RAISED == end.outcome


async def test_reads_that_hang_do_not_keep_a_failure_from_being_told(
    alert: RunningAlert, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def hang(*_: object) -> list[Any]:
        begun.set()
        await over.wait()
        return []

    async def however_long(work: Awaitable[Any]) -> Any:
        return await work

    watch = alert.alerts.WatchEvents(pb.WatchEventsRequest())
    await watch.read()
    monkeypatch.setattr("tocsin.alert.rpc.reads.list_alerts", hang)
    monkeypatch.setattr("tocsin.alert.rpc.reads.answered_in_time", however_long)
    reads = [
        asyncio.ensure_future(refused_or_not(alert.alerts.ListAlerts(pb.ListAlertsRequest())))
        for _ in range(50)
    ]
    await begun.wait()

    answer = await alert.alerts.RaiseOrTouch(RAISE)
    heard: Any = await watch.read()

    assert pb.RAISE_OUTCOME_RAISED == answer.outcome
    assert [answer.alert] == [event.alert for event in heard.events]
    over.set()
    assert {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE} >= set(await asyncio.gather(*reads))


async def refused_or_not(call: Any) -> grpc.StatusCode:
    with suppress(grpc.aio.AioRpcError):
        await call
    code: grpc.StatusCode = await call.code()
    return code
