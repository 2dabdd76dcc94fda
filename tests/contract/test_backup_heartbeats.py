"""The stream of heartbeats: what is taken, what is refused, and how it ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.alert import RunningAlert, running_alert
from support.clock import ManualClock
from support.refusals import refusal_of
from support.waiting import eventually
from tocsin.api.alert.v1 import backup_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.client import BackupClient, SyncBackupClient
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.postgres


def beats(*host_ids: str) -> pb.HeartbeatsRequest:
    return pb.HeartbeatsRequest(
        heartbeats=[pb.ReportHeartbeatRequest(host_id=host_id) for host_id in host_ids]
    )


async def put(alert: RunningAlert, host_id: str) -> None:
    await alert.backups.PutHost(pb.PutHostRequest(host_id=host_id))


async def host(alert: RunningAlert, host_id: str) -> backup_pb2.Host:
    return (await alert.backups.GetHost(pb.GetHostRequest(host_id=host_id))).host


async def is_heard(alert: RunningAlert, host_id: str) -> bool:
    return (await host(alert, host_id)).HasField("last_heard_time")


async def test_a_stream_says_of_many_hosts_that_they_live(
    alert: RunningAlert, clock: ManualClock
) -> None:
    for host_id in ("a", "b", "c"):
        await put(alert, host_id)

    answer = await alert.backups.Heartbeats(iter([beats("a", "b"), beats("b", "never-put")]))

    assert pb.HeartbeatsResponse(accepted_count=4) == answer
    heard = [(await host(alert, host_id)).last_heard_time for host_id in ("a", "b")]
    assert [to_timestamp(clock.now())] * 2 == heard
    assert not await is_heard(alert, "c")


async def test_bad_entries_are_counted_told_and_skipped(alert: RunningAlert) -> None:
    await put(alert, "a")
    too_many = beats(*("x",) * 1_001)

    answer = await alert.backups.Heartbeats(iter([beats(), beats("\0", "a", ""), too_many]))

    assert (
        pb.HeartbeatsResponse(
            accepted_count=1,
            refused_count=1_003,
            first_refusal="heartbeats[0].host_id: holds a NUL character (U+0000); leave it out",
        )
        == answer
    )
    assert await is_heard(alert, "a")


async def test_what_is_no_message_ends_the_stream_and_keeps_what_came_before(
    alert: RunningAlert,
) -> None:
    await put(alert, "a")
    call: Any = alert.channel.stream_unary("/tocsin.api.alert.v1.BackupService/Heartbeats")

    refusal = await refusal_of(call(iter([beats("a").SerializeToString(), b"\xff\xff"])))

    assert grpc.StatusCode.INVALID_ARGUMENT is refusal.code
    assert await is_heard(alert, "a")


async def test_a_clock_that_is_a_day_ahead_is_shown_on_its_host(
    alert: RunningAlert, clock: ManualClock
) -> None:
    await put(alert, "a")
    ahead = clock.now() + timedelta(days=1)

    await alert.backups.ReportHeartbeat(
        pb.ReportHeartbeatRequest(host_id="a", send_time=to_timestamp(ahead))
    )

    found = await host(alert, "a")
    assert timedelta(days=1) == found.clock_skew.ToTimedelta()
    assert to_timestamp(clock.now()) == found.last_heard_time


async def test_each_message_is_written_while_the_stream_is_open_and_a_cancel_loses_none(
    alert: RunningAlert,
) -> None:
    for host_id in ("a", "b"):
        await put(alert, host_id)
    call = alert.backups.Heartbeats()

    await call.write(beats("a"))
    await eventually(lambda: is_heard(alert, "a"))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    answer = await alert.backups.Heartbeats(iter([beats("b")]))
    assert 1 == answer.accepted_count, "the service lives on"
    assert await is_heard(alert, "a")


async def test_a_server_that_stops_ends_the_stream_and_says_when_to_come_back(
    alert_url: str,
) -> None:
    async with running_alert(alert_url, clock=ManualClock()) as alert:
        await put(alert, "a")
        call = alert.backups.Heartbeats()
        await call.write(beats("a"))
        await eventually(lambda: is_heard(alert, "a"))

        stopping = asyncio.create_task(alert.app.stop())
        refusal = await refusal_of(call)
        await stopping

    assert (grpc.StatusCode.UNAVAILABLE, "DRAINING", 1.0) == (
        refusal.code,
        refusal.reason,
        refusal.retry_after,
    )


async def test_the_clients_send_a_stream_each(alert: RunningAlert) -> None:
    for host_id in ("a", "b"):
        await put(alert, host_id)

    async def living() -> AsyncIterator[list[str]]:
        yield ["a"]
        yield [""]

    async with BackupClient(alert.target) as backups:
        answer = await backups.heartbeats(living())
    with SyncBackupClient(alert.target) as blocking:
        twin = await asyncio.to_thread(blocking.heartbeats, [["b"] * 1_001])

    assert (1, 1, 1_001) == (answer.accepted_count, answer.refused_count, twin.accepted_count)
    assert (await host(alert, "a")).HasField("clock_skew"), "sent with the client's clock"
    assert await is_heard(alert, "b")
