"""Replicas of both services on a durable PostgreSQL, to be killed, and what sees the outcome."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import grpc

from support.postgres import running_cluster
from support.processes import IMPATIENT, ServiceProcess, free_port, running
from support.receiver import Receiver, running_receiver
from support.told import Happened
from tocsin.api.alert.v1 import event_pb2
from tocsin.api.notify.v1 import channel_pb2, channel_service_pb2
from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceStub
from tocsin.client import EventSubscription, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tocsin.common.postgres.embedded import Binaries, Cluster

# The defaults of PostgreSQL: a commit that was answered is on the disk.
DURABLE = {"max_connections": "100", "log_min_messages": "fatal"}
DRAIN_SECONDS = 240.0
"""Far more than anything takes: thousands of events may wait for notify when the kills are over."""
_LOOK_SECONDS = 0.1
_ATTEMPTS = 60
# As a client does that is given a name for all replicas.
_ROUND_ROBIN = ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}')
# What a death leaves behind goes out again within seconds, and no delivery is given up for having
# lost its worker as often as there are deaths.
QUICK_DELIVERY = {
    "TOCSIN_NOTIFY_LEASE_SECONDS": "4",
    # Keys are raised again and again here, and each alert is to be told by itself.
    "TOCSIN_NOTIFY_FLAP_RAISES": "0",
    "TOCSIN_NOTIFY_RETRY_SECONDS": ",".join(["0", *["1"] * _ATTEMPTS]),
}
# A call goes on until it is answered, however long the outage.
PATIENT = RetryPolicy(
    total=timedelta(minutes=5), attempt=timedelta(seconds=3), longest_wait=timedelta(seconds=1)
)
BROKEN_OFF = "SELECT count(*) FROM attempts WHERE outcome = 4"
_DELIVERY_STATES = {3: "delivered", 4: "suppressed", 5: "dead", 7: "superseded"}
"""4 is only for ends of what was never told."""


@dataclass
class Acknowledged:
    """What the service said it did: (alert, type of event) of each transition answered OK."""

    transitions: list[tuple[str, int]] = field(default_factory=list)
    progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def add(self, alert_id: str, event_type: int) -> None:
        async with self.progress:
            self.transitions.append((alert_id, event_type))
            self.progress.notify_all()

    async def grows(self, by: int) -> None:
        """Wait for so many more."""
        goal = len(self.transitions) + by
        async with self.progress:
            await self.progress.wait_for(lambda: len(self.transitions) >= goal)


class Watcher:
    """Follows the log through every death by the client library, noting each revision."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._subscription = EventSubscription(channel, on_first="oldest")
        self._came = asyncio.Condition()
        self.revisions: list[int] = []
        self.synthetic = 0

    async def follow(self) -> None:
        async with self._subscription:
            async for batch in self._subscription:
                async with self._came:
                    self.revisions.extend(each.event.position.revision for each in batch.events)
                    self.synthetic += sum(each.synthetic for each in batch.events)
                    self._came.notify_all()

    async def reaches(self, count: int) -> None:
        async with self._came:
            await self._came.wait_for(lambda: len(self.revisions) >= count)


@dataclass(frozen=True)
class Stack:
    """All that can be killed, and what sees the outcome.

    `channel` leads to all replicas of the alert service.
    """

    cluster: Cluster
    alerts: Sequence[ServiceProcess]
    notifies: Sequence[ServiceProcess]
    receiver: Receiver
    channel: grpc.aio.Channel

    def new_channel(self) -> grpc.aio.Channel:
        """Open one more, over connections of its own."""
        return _channel(self.alerts)

    async def serving(self) -> None:
        """Wait until every replica serves."""
        for service in (*self.alerts, *self.notifies):
            await service.serving()

    async def kill(self, service: ServiceProcess) -> None:
        """Kill a replica; it begins anew at once."""
        service.kill()
        service.start()

    async def kill_alert(self) -> None:
        await self.kill(self.alerts[0])

    async def kill_postgres(self) -> None:
        await asyncio.to_thread(self.cluster.kill)
        await asyncio.to_thread(self.cluster.start)

    async def kill_notify_at_work(self) -> None:
        """Kill it only once something was told in this life, so that it dies at work."""
        told = len(self.receiver.requests)
        await self.receiver.wait_until(
            lambda: len(self.receiver.requests) > told, within=DRAIN_SECONDS
        )
        await self.kill(self.notifies[0])

    async def log(self) -> list[asyncpg.Record]:
        """Return the events that are kept: revision, alert_id and type."""
        query = "SELECT revision, alert_id, type FROM events ORDER BY revision"
        return await fetch(self.cluster, "tocsin_alert", query)

    async def keys_with_two_open_alerts(self) -> int:
        query = (
            "SELECT 1 FROM alerts WHERE resolve_time IS NULL"
            " GROUP BY host_id, kind, dedup_key HAVING count(*) > 1"
        )
        return len(await fetch(self.cluster, "tocsin_alert", query))

    async def has_ended_all(self, head: int) -> bool:
        """Whether notify knows of all events up to a revision, and no delivery waits."""
        query = (
            "SELECT (SELECT revision FROM follower_position) AS followed, count(*) AS unfinished"
            " FROM deliveries WHERE state IN (1, 2, 6)"
        )
        [row] = await fetch(self.cluster, "tocsin_notify", query)
        return (head, 0) == (row["followed"], row["unfinished"])

    async def deliveries(self) -> dict[str, int]:
        """Return how many deliveries ended in which state."""
        query = "SELECT state, count(*) FROM deliveries GROUP BY state"
        rows = await fetch(self.cluster, "tocsin_notify", query)
        return {_DELIVERY_STATES[row["state"]]: row["count"] for row in rows}

    async def broken_off(self) -> int:
        """Return how many attempts were under way at a death, and may have been made."""
        [row] = await fetch(self.cluster, "tocsin_notify", BROKEN_OFF)
        return int(row["count"])


def happened(log: list[asyncpg.Record]) -> list[Happened]:
    """Return the events of the log as a far side should know of them."""
    end = event_pb2.ALERT_EVENT_TYPE_RESOLVED
    return [Happened(str(row["alert_id"]), row["revision"], row["type"] == end) for row in log]


@asynccontextmanager
async def running_stack(
    binaries: Binaries, folder: Path, replicas: int = 1
) -> AsyncIterator[Stack]:
    """Run so many of each service on a durable PostgreSQL, with one webhook channel."""
    with running_cluster(binaries, DURABLE) as cluster:
        alerts = [_alert(cluster, folder, number) for number in range(replicas)]
        notifies = [_notify(cluster, folder, number, alerts[number]) for number in range(replicas)]
        async with (
            running_receiver() as receiver,
            # One after the other: each may be the one that makes the tables.
            running(*alerts[:1], *notifies[:1]),
            running(*alerts[1:], *notifies[1:]),
            _supervised(*alerts, *notifies),
            _channel(alerts) as channel,
        ):
            await _create_webhook(notifies[0].target, receiver.url)
            try:
                yield Stack(cluster, alerts, notifies, receiver, channel)
            except BaseException:
                await _tell_where_it_stood(cluster, receiver, folder)
                raise


@asynccontextmanager
async def _supervised(*services: ServiceProcess) -> AsyncIterator[None]:
    """Start again what ends by itself, as whoever runs services does.

    A service that finds no database when it starts says so and ends.
    """

    async def watch() -> None:
        while True:
            for service in services:
                if service.has_ended:
                    service.start()
            await asyncio.sleep(_LOOK_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def _alert(cluster: Cluster, folder: Path, number: int) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_ALERT_INSECURE_DEV": "true",
        "TOCSIN_ALERT_DATABASE_URL": cluster.create_database("tocsin_alert"),
    }
    return ServiceProcess("tocsin.alert", environment, port, folder / f"alert-{number}.log")


def _notify(cluster: Cluster, folder: Path, number: int, alert: ServiceProcess) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_NOTIFY_INSECURE_DEV": "true",
        "TOCSIN_NOTIFY_DATABASE_URL": cluster.create_database("tocsin_notify"),
        "TOCSIN_NOTIFY_ALERT_TARGET": alert.target,
        "TOCSIN_NOTIFY_SECRET_KEY": base64.b64encode(bytes(range(32))).decode(),
        "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
        **QUICK_DELIVERY,
    }
    return ServiceProcess("tocsin.notify", environment, port, folder / f"notify-{number}.log")


def _channel(alerts: Sequence[ServiceProcess]) -> grpc.aio.Channel:
    targets = ",".join(alert.target for alert in alerts)
    return grpc.aio.insecure_channel(f"ipv4:{targets}", options=[*IMPATIENT, _ROUND_ROBIN])


async def _create_webhook(target: str, url: str) -> None:
    webhook = channel_pb2.Channel(
        display_name="receiver", enabled=True, webhook=channel_pb2.WebhookConfig(url=url)
    )
    async with grpc.aio.insecure_channel(target) as channel:
        await ChannelServiceStub(channel).CreateChannel(
            channel_service_pb2.CreateChannelRequest(channel=webhook)
        )


async def fetch(cluster: Cluster, database: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(cluster.url(database))
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def _tell_where_it_stood(cluster: Cluster, receiver: Receiver, folder: Path) -> None:
    """Print what pytest shows of a test that fails: the last words of both, and the queue."""
    for log in sorted(folder.glob("*.log")):
        print(log.name, log.read_text(errors="replace")[-6000:], sep=":\n")  # noqa: T201
    print(f"came: {len(receiver.requests)}, distinct: {len(receiver.webhook_ids)}")  # noqa: T201
    with suppress(OSError, asyncpg.PostgresError):  # it may be between two lives
        for row in await fetch(cluster, "tocsin_notify", _UNFINISHED):
            print(dict(row))  # noqa: T201


_UNFINISHED = """
SELECT now(), state, state_reason, attempt_count, retry_count, next_attempt_time,
       lease_expire_time, create_time, (SELECT max(revision) FROM follower_position) AS followed
  FROM deliveries WHERE state <> 3 ORDER BY sequence LIMIT 20
"""
