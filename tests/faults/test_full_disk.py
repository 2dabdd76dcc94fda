"""The disk of PostgreSQL is full, a real one: what can go on goes on, and all does once it may."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from support.alert import running_alert
from support.health import ready
from support.notify import running_notify
from support.postgres import SETTINGS, migrations_of, running_cluster
from support.receiver import running_receiver
from support.refusals import read_refusal
from support.small_disk import SmallDisk, small_disk
from support.waiting import WITHIN_SECONDS, eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import NotifyClient
from tocsin.common.postgres.account import server_account
from tocsin.common.postgres.migrator import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.alert import RunningAlert
    from support.figures import Figures
    from support.receiver import Receiver
    from tocsin.common.postgres.embedded import Binaries, Cluster

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

ROOM_MEBIBYTES = 96
FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
MESSAGE = "x" * 900


def a_raise(key: str) -> pb.RaiseOrTouchRequest:
    return pb.RaiseOrTouchRequest(
        host_id="nas", kind="backup_failed", dedup_key=key, message=MESSAGE, request_id=key
    )


async def database_on(disk: SmallDisk, cluster: Cluster, service: str) -> str:
    """Make a database whose tables lie on the disk; the server's own log lies elsewhere."""
    place = disk.folder / service
    place.mkdir(mode=0o700)
    server_account().give(place)
    admin = await asyncpg.connect(cluster.url())
    await admin.execute(f"CREATE TABLESPACE {service} LOCATION '{place}'")
    await admin.execute(f"CREATE DATABASE tocsin_{service} TABLESPACE {service}")
    await admin.close()
    url = cluster.url(f"tocsin_{service}")
    await migrate(url, migrations_of(service))
    return url


@asynccontextmanager
async def both_on(
    disk: SmallDisk, cluster: Cluster, receiver: Receiver
) -> AsyncIterator[RunningAlert]:
    alert_url = await database_on(disk, cluster, "alert")
    notify_url = await database_on(disk, cluster, "notify")
    async with (
        running_alert(alert_url) as alert,
        running_notify(
            notify_url, alert.target, flap_raises=0, retry_seconds=(0, *[0.2] * 90)
        ) as notify,
        NotifyClient(f"127.0.0.1:{notify.port}") as steering,
    ):
        webhook = WebhookConfig(url=receiver.url)
        await steering.create_channel(Channel(display_name="on call", webhook=webhook))
        yield alert


async def is_refused_for_room(alert: RunningAlert, key: str) -> bool:
    """Raise an alert; return whether there was no room for it. Raises what else went wrong."""
    while True:
        try:
            await alert.alerts.RaiseOrTouch(a_raise(key))
        except grpc.aio.AioRpcError as error:
            refusal = read_refusal(error)
            if FULL == (refusal.code, refusal.reason):
                return True
            if error.code() is not grpc.StatusCode.UNAVAILABLE:  # a machine with too much to do
                raise
        else:
            return False


async def raised_until_full(alert: RunningAlert, disk: SmallDisk) -> list[str]:
    """Raise one alert after the other, until there is no room for one; return those raised."""
    keys = map(str, count())
    raised = [next(keys)]
    assert not await is_refused_for_room(alert, raised[0])
    disk.fill()
    while not await is_refused_for_room(alert, key := next(keys)):
        raised.append(key)
    return raised


async def heard_of(watch: Any, keys: set[str]) -> list[int]:
    """Read a stream until it has told of these; return the revisions on the way."""
    revisions, missing = list[int](), set(keys)
    async with asyncio.timeout(WITHIN_SECONDS):
        while missing:
            for event in (await watch.read()).events:
                revisions.append(event.position.revision)
                missing.discard(event.alert.dedup_key)
    return revisions


def told(receiver: Receiver) -> set[str]:
    return {request.json["data"]["alert"]["dedup_key"] for request in receiver.requests}


async def test_on_a_full_disk_reads_and_streams_go_on_and_all_goes_on_once_there_is_room(
    postgres_binaries: Binaries, figures: Figures
) -> None:
    with (
        small_disk(ROOM_MEBIBYTES) as disk,
        running_cluster(postgres_binaries, SETTINGS) as cluster,
    ):
        async with running_receiver() as receiver, both_on(disk, cluster, receiver) as alert:
            watch: Any = alert.alerts.WatchEvents(pb.WatchEventsRequest())
            await watch.read()
            raised = await raised_until_full(alert, disk)

            assert await is_refused_for_room(alert, "refused")
            page = await alert.alerts.ListAlerts(pb.ListAlertsRequest(page_size=1))
            assert len(raised) == page.position.revision
            fresh: Any = alert.alerts.WatchEvents(pb.WatchEventsRequest(snapshot=True))
            async with asyncio.timeout(WITHIN_SECONDS):
                assert (await fresh.read()).snapshot_alerts
            fresh.cancel()
            heard = await heard_of(watch, set(raised))

            disk.ease()
            await eventually(lambda: has_room(alert, "refused"))
            heard += await heard_of(watch, {"refused"})
            await receiver.wait_until(lambda: "refused" in told(receiver))
            await eventually(lambda: {*raised, "refused"} == told(receiver))
            await ready(alert.channel)
            watch.cancel()

    assert list(range(1, len(raised) + 2)) == heard
    figures.record(fault="postgresql", what="disk full", code="RESOURCE_EXHAUSTED", recovered=1)


async def has_room(alert: RunningAlert, key: str) -> bool:
    return not await is_refused_for_room(alert, key)
