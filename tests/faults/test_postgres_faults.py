"""PostgreSQL full of others, read-only, restarted, and restored from an older backup."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from support.alert import running_alert
from support.health import ready
from support.notify import running_notify
from support.postgres import SETTINGS, migrations_of, running_cluster
from support.receiver import running_receiver
from support.refusals import refusal_of
from support.waiting import WITHIN_SECONDS, eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, NotifyClient
from tocsin.common.postgres.migrator import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.alert import RunningAlert
    from support.figures import Figures
    from support.receiver import Receiver
    from tocsin.common.postgres.embedded import Binaries, Cluster

pytestmark = pytest.mark.postgres

KIND = "backup_failed"
AWAY = (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
FEW = {**SETTINGS, "max_connections": "30"}
WRITABLE = {"default_transaction_read_only": "off"}
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = $1 AND pid <> pg_backend_pid() AND application_name <> 'crowd'
"""
OTHERS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name <> 'crowd'
"""


async def new_database(cluster: Cluster, service: str) -> str:
    url = await asyncio.to_thread(cluster.create_database, f"tocsin_{service}")
    await migrate(url, migrations_of(service))
    return url


def a_raise(key: str) -> pb.RaiseOrTouchRequest:
    return pb.RaiseOrTouchRequest(host_id="nas", kind=KIND, dedup_key=key)


async def raised_again(alert: RunningAlert, key: str) -> int:
    """Raise until it is answered; return the revision at which it stands in the log."""

    async def answered() -> bool:
        with suppress(grpc.aio.AioRpcError):
            await alert.alerts.RaiseOrTouch(a_raise(key))
            return True
        return False

    await eventually(answered)
    return int((await alert.alerts.ListAlerts(pb.ListAlertsRequest())).position.revision)


async def watched(watch: Any, until: int) -> list[int]:
    """Read an open stream up to a revision, and return all on the way."""
    revisions = list[int]()
    async with asyncio.timeout(WITHIN_SECONDS):
        while until not in revisions:
            revisions += [each.position.revision for each in (await watch.read()).events]
    return revisions


@asynccontextmanager
async def crowded(cluster: Cluster, database: str) -> AsyncIterator[None]:
    """Take every connection that the server gives, those of the service included."""
    async with AsyncExitStack() as stack:
        crowd = [await _one_more(cluster, stack)]

        async def is_full() -> bool:
            await crowd[0].execute(TERMINATE, database)
            with suppress(asyncpg.TooManyConnectionsError):
                while True:
                    crowd.append(await _one_more(cluster, stack))
            others: int = await crowd[0].fetchval(OTHERS, database)
            return others == 0

        await eventually(is_full)
        yield


async def _one_more(cluster: Cluster, stack: AsyncExitStack) -> asyncpg.Connection:
    one = await asyncpg.connect(cluster.url(), server_settings={"application_name": "crowd"})
    stack.push_async_callback(one.close)
    return one


async def test_a_server_without_a_free_connection_is_unavailable_until_there_is_one(
    postgres_binaries: Binaries, figures: Figures
) -> None:
    with running_cluster(postgres_binaries, FEW) as cluster:
        url = await new_database(cluster, "alert")
        async with running_alert(url) as alert:
            watch: Any = alert.alerts.WatchEvents(pb.WatchEventsRequest())
            await watch.read()
            async with crowded(cluster, "tocsin_alert"):
                for call in (
                    alert.alerts.RaiseOrTouch(a_raise("crowded")),
                    alert.alerts.ListAlerts(pb.ListAlertsRequest()),
                ):
                    refusal = await refusal_of(call)
                    assert AWAY == (refusal.code, refusal.reason)
                    assert refusal.retry_after is not None
            last = await raised_again(alert, "after")
            assert list(range(1, last + 1)) == await watched(watch, last)
            await ready(alert.channel)
            watch.cancel()
    figures.record(fault="postgresql", what="out of connections", code="UNAVAILABLE", recovered=1)


async def test_a_read_only_server_still_tells_what_is_open(
    own_cluster: Cluster, figures: Figures
) -> None:
    url = await new_database(own_cluster, "alert")
    admin = await asyncpg.connect(own_cluster.url(), server_settings=WRITABLE)
    async with running_alert(url) as alert:
        first = (await alert.alerts.RaiseOrTouch(a_raise("before"))).alert
        watch: Any = alert.alerts.WatchEvents(pb.WatchEventsRequest())
        await watch.read()
        await admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await admin.execute("SELECT pg_reload_conf()")

        async def is_refused() -> bool:
            with suppress(grpc.aio.AioRpcError):
                await alert.alerts.Acknowledge(pb.AcknowledgeRequest(alert_id=first.alert_id))
                return False
            return True

        await eventually(is_refused)
        refusal = await refusal_of(alert.alerts.RaiseOrTouch(a_raise("read-only")))
        assert AWAY == (refusal.code, refusal.reason)
        page = await alert.alerts.ListAlerts(pb.ListAlertsRequest())
        assert [first.alert_id] == [each.alert_id for each in page.alerts]
        fresh: Any = alert.alerts.WatchEvents(pb.WatchEventsRequest(snapshot=True))
        snapshot = await asyncio.wait_for(fresh.read(), WITHIN_SECONDS)
        assert [first.alert_id] == [each.alert_id for each in snapshot.snapshot_alerts]
        fresh.cancel()

        await admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await admin.execute("SELECT pg_reload_conf()")
        last = await raised_again(alert, "after")
        heard = await watched(watch, last)
        assert heard == list(range(heard[0], last + 1))
        watch.cancel()
    await admin.close()
    figures.record(fault="postgresql", what="read-only", code="UNAVAILABLE", recovered=1)


@asynccontextmanager
async def both_services(
    cluster: Cluster, receiver: Receiver
) -> AsyncIterator[tuple[RunningAlert, AlertClient]]:
    """Run both on one server, with a webhook that hears of everything."""
    alert_url = await new_database(cluster, "alert")
    notify_url = await new_database(cluster, "notify")
    async with (
        running_alert(alert_url) as alert,
        running_notify(
            notify_url, alert.target, flap_raises=0, retry_seconds=(0, *[0.2] * 90)
        ) as notify,
        NotifyClient(f"127.0.0.1:{notify.port}") as steering,
        AlertClient(alert.target) as alerts,
    ):
        webhook = WebhookConfig(url=receiver.url)
        await steering.create_channel(Channel(display_name="on call", webhook=webhook))
        yield alert, alerts


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """Return what was told: what happened, and to which key."""
    bodies = [request.json["data"] for request in receiver.requests]
    return [(each["type"], each["alert"]["dedup_key"]) for each in bodies]


async def test_a_restart_of_the_server_under_both_services_loses_nothing(
    own_cluster: Cluster, figures: Figures
) -> None:
    async with (
        running_receiver() as receiver,
        both_services(own_cluster, receiver) as (alert, alerts),
    ):
        watch: Any = alert.alerts.WatchEvents(pb.WatchEventsRequest())
        await watch.read()
        await alerts.raise_or_touch("nas", KIND, "before")
        await receiver.wait_for(1)
        await asyncio.to_thread(own_cluster.stop)
        await asyncio.to_thread(own_cluster.start)
        await alerts.raise_or_touch("nas", KIND, "after")
        await receiver.wait_until(lambda: ("raised", "after") in told(receiver))

        assert [1, 2] == await watched(watch, 2)
        assert [("raised", "before"), ("raised", "after")] == list(dict.fromkeys(told(receiver)))
        watch.cancel()
    figures.record(fault="postgresql", what="restarted", events_missed=0, recovered=1)


async def _apart(admin: asyncpg.Connection, *statements: str) -> None:
    """Keep everybody out of the database of the alert service while statements run."""
    await admin.execute("ALTER DATABASE tocsin_alert ALLOW_CONNECTIONS false")
    try:
        await admin.execute(TERMINATE, "tocsin_alert")
        for statement in statements:
            await admin.execute(statement)
    finally:
        await admin.execute("ALTER DATABASE tocsin_alert ALLOW_CONNECTIONS true")


async def test_a_server_restored_from_an_older_backup_under_both_services_is_made_up_for(
    own_cluster: Cluster, figures: Figures
) -> None:
    """Neither service is stopped: they meet the restored database as it is."""
    admin = await asyncpg.connect(own_cluster.url())
    async with (
        running_receiver() as receiver,
        both_services(own_cluster, receiver) as (alert, alerts),
    ):
        for key in ("stays", "healed-later"):
            await alerts.raise_or_touch("nas", KIND, key)
        await receiver.wait_for(2)
        epoch = (await alerts.list_alerts_page()).position.epoch
        await _apart(admin, "CREATE DATABASE backup TEMPLATE tocsin_alert")
        await alerts.raise_or_touch("nas", KIND, "lost")
        await alerts.auto_resolve("nas", KIND, "healed-later")
        await receiver.wait_until(lambda: ("resolved", "healed-later") in told(receiver))
        before = len(set(told(receiver)))
        await _apart(
            admin,
            "ALTER DATABASE tocsin_alert RENAME TO former",
            "ALTER DATABASE backup RENAME TO tocsin_alert",
        )
        await receiver.wait_until(lambda: ("resolved", "lost") in told(receiver))
        await receiver.wait_until(lambda: told(receiver).count(("raised", "healed-later")) > 1)
        await alerts.raise_or_touch("nas", KIND, "new")
        await receiver.wait_until(lambda: ("raised", "new") in told(receiver))

        assert epoch != (await alerts.list_alerts_page()).position.epoch
        assert {("resolved", "lost"), ("raised", "new")} == set(told(receiver)[before:]) - {
            ("raised", "healed-later")
        }
        assert 1 == told(receiver).count(("raised", "stays"))
        await ready(alert.channel)
    await admin.close()
    figures.record(fault="postgresql", what="restored from an older backup", new_epoch=1, healed=2)
