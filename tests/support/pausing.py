"""Both services as processes, two replicas of notify among them, with what sees the outcome."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from support.linked import PATIENT
from support.postgres import running_cluster
from support.processes import IMPATIENT, ServiceProcess, free_port, running
from support.receiver import running_receiver
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, NotifyClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.receiver import Receiver
    from tocsin.common.postgres.embedded import Binaries, Cluster

WITHIN = 90.0


@dataclass
class Stage:
    """The processes, and what sees the outcome. `notify` leads; `other` stands by."""

    cluster: Cluster
    alert: ServiceProcess
    notify: ServiceProcess
    other: ServiceProcess
    receiver: Receiver
    alerts: AlertClient
    log: Path

    async def told(self, key: str) -> int:
        """Raise an alert and return how often it was told, once it was."""
        await self.alerts.raise_or_touch("nas", "backup_failed", key)
        await self.receiver.wait_until(lambda: self.times(key) > 0, within=WITHIN)
        return self.times(key)

    def times(self, key: str) -> int:
        bodies = [request.json["data"]["alert"]["dedup_key"] for request in self.receiver.requests]
        return bodies.count(key)


def _alert(cluster: Cluster, folder: Path) -> ServiceProcess:
    port, shown = free_port(), free_port()
    environment = {
        "TOCSIN_ALERT_METRICS_LISTEN": f"127.0.0.1:{shown}",
        "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_ALERT_INSECURE_DEV": "true",
        "TOCSIN_ALERT_DATABASE_URL": cluster.create_database("tocsin_alert"),
    }
    return ServiceProcess("tocsin.alert", environment, port, folder / "alert.log", shown)


def _notify(
    cluster: Cluster, alert: ServiceProcess, log: Path, lease_seconds: int
) -> ServiceProcess:
    port, shown = free_port(), free_port()
    environment = {
        "TOCSIN_NOTIFY_METRICS_LISTEN": f"127.0.0.1:{shown}",
        "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_NOTIFY_INSECURE_DEV": "true",
        "TOCSIN_NOTIFY_DATABASE_URL": cluster.create_database("tocsin_notify"),
        "TOCSIN_NOTIFY_ALERT_TARGET": alert.target,
        "TOCSIN_NOTIFY_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
        "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TOCSIN_NOTIFY_LEASE_SECONDS": str(lease_seconds),
        "TOCSIN_NOTIFY_FLAP_RAISES": "0",
        "TOCSIN_NOTIFY_RETRY_SECONDS": ",".join(["0", *["1"] * 90]),
    }
    return ServiceProcess("tocsin.notify", environment, port, log, shown)


@asynccontextmanager
async def stage(binaries: Binaries, folder: Path, lease_seconds: int) -> AsyncIterator[Stage]:
    """Run all of it. `notify` has begun before `other`, and so follows the stream."""
    with running_cluster(binaries) as cluster:
        alert = _alert(cluster, folder)
        notify = _notify(cluster, alert, folder / "notify.log", lease_seconds)
        other = _notify(cluster, alert, folder / "other.log", lease_seconds)
        async with (
            running_receiver() as receiver,
            running(alert, notify),
            running(other),
            grpc.aio.insecure_channel(alert.target, options=IMPATIENT) as channel,
            NotifyClient(notify.target) as steering,
        ):
            webhook = WebhookConfig(url=receiver.url)
            await steering.create_channel(Channel(display_name="on call", webhook=webhook))
            alerts = AlertClient(channel, retry=PATIENT)
            try:
                yield Stage(cluster, alert, notify, other, receiver, alerts, folder / "notify.log")
            finally:
                # They are told of it while this loop still answers them.
                for service in (other, notify, alert):
                    await asyncio.to_thread(service.stop)
