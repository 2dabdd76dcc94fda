"""Everything is killed, again and again, under load; afterwards the record is whole.

What is promised: no acknowledged transition is lost, no key ever has two alerts that are not
resolved, every delivery ends, and a message that comes twice bears the same id.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import grpc
import pytest

from support.postgres import running_cluster
from support.processes import IMPATIENT, ServiceProcess, free_port, running
from support.receiver import Receiver, running_receiver
from support.told import Happened, broken_promises, told_by_webhook
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as rpc
from tocsin.api.alert.v1 import event_pb2
from tocsin.api.notify.v1 import channel_pb2, channel_service_pb2
from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceStub
from tocsin.client import AlertClient, EventSubscription, FailedPreconditionError, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tocsin.common.postgres.embedded import Binaries, Cluster

# A slow machine needs its time: sixty deaths, and each life begins by loading Python and gRPC.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS_OF_EACH = 20
WRITERS = 8
KEYS = 60
SEED = 20_261_121
"""Change it to see another history; the order of kills and calls follows from it."""

# The defaults of PostgreSQL: a commit that was answered is on the disk.
DURABLE = {"max_connections": "100", "log_min_messages": "fatal"}
DRAIN_SECONDS = 240.0
"""Far more than anything takes: thousands of events may wait for notify when the kills are over."""
# What a death leaves behind goes out again within seconds, and no delivery is given up for having
# lost its worker as often as there are deaths.
QUICK_DELIVERY = {
    "TOCSIN_NOTIFY_LEASE_SECONDS": "4",
    # Keys are raised again and again here, and each alert is to be told by itself.
    "TOCSIN_NOTIFY_FLAP_RAISES": "0",
    "TOCSIN_NOTIFY_RETRY_SECONDS": ",".join(["0", *["1"] * 3 * KILLS_OF_EACH]),
}
# A call goes on until it is answered, however long the outage.
PATIENT = RetryPolicy(
    total=timedelta(minutes=5), attempt=timedelta(seconds=3), longest_wait=timedelta(seconds=1)
)


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


class Writer:
    """Reports and acts at random by the client library, which repeats what was not answered."""

    def __init__(self, alerts: AlertClient, number: int, said: Acknowledged) -> None:
        self._alerts = alerts
        self._random = random.Random(SEED + number)
        self._said = said
        self._last_alert = ""
        self.stopping = False

    async def write(self) -> None:
        while not self.stopping:
            await self._random.choice((self._raise, self._raise, self._clear, self._act))()

    def _key(self) -> tuple[str, str, str]:
        number = self._random.randrange(KEYS)
        return f"host-{number % 20}", "backup_failed", str(number)

    async def _raise(self) -> None:
        answer = await self._alerts.raise_or_touch(*self._key())
        self._last_alert = answer.alert.alert_id
        if answer.outcome == rpc.RAISE_OUTCOME_RAISED:
            await self._said.add(answer.alert.alert_id, event_pb2.ALERT_EVENT_TYPE_RAISED)

    async def _clear(self) -> None:
        answer = await self._alerts.auto_resolve(*self._key())
        if answer.outcome == rpc.CLEAR_OUTCOME_RESOLVED:
            await self._said.add(answer.alert.alert_id, event_pb2.ALERT_EVENT_TYPE_RESOLVED)

    async def _act(self) -> None:
        if self._last_alert:
            await self._random.choice((self._acknowledge, self._resolve))(self._last_alert)

    async def _acknowledge(self, alert_id: str) -> None:
        with suppress(FailedPreconditionError):  # another writer has resolved it
            if (await self._alerts.acknowledge(alert_id)).changed:
                await self._said.add(alert_id, event_pb2.ALERT_EVENT_TYPE_ACKNOWLEDGED)

    async def _resolve(self, alert_id: str) -> None:
        if (await self._alerts.resolve(alert_id)).changed:
            await self._said.add(alert_id, event_pb2.ALERT_EVENT_TYPE_RESOLVED)


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
    """All that can be killed, and what sees the outcome."""

    cluster: Cluster
    alert: ServiceProcess
    notify: ServiceProcess
    receiver: Receiver
    channel: grpc.aio.Channel

    async def kill_alert(self) -> None:
        self.alert.kill()
        self.alert.start()

    async def kill_postgres(self) -> None:
        await asyncio.to_thread(self.cluster.kill)
        await asyncio.to_thread(self.cluster.start)

    async def kill_notify(self) -> None:
        """Kill it only once it has told something in this life, so that it dies at work."""
        told = len(self.receiver.requests)
        await self.receiver.wait_until(
            lambda: len(self.receiver.requests) > told, within=DRAIN_SECONDS
        )
        self.notify.kill()
        self.notify.start()


@asynccontextmanager
async def running_stack(binaries: Binaries, folder: Path) -> AsyncIterator[Stack]:
    """Run both services on a durable PostgreSQL, with one webhook channel."""
    with running_cluster(binaries, DURABLE) as cluster:
        alert_port, notify_port = free_port(), free_port()
        alert = ServiceProcess(
            "tocsin.alert",
            {
                "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{alert_port}",
                "TOCSIN_ALERT_DATABASE_URL": cluster.create_database("tocsin_alert"),
            },
            alert_port,
            folder / "alert.log",
        )
        notify = ServiceProcess(
            "tocsin.notify",
            {
                "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{notify_port}",
                "TOCSIN_NOTIFY_DATABASE_URL": cluster.create_database("tocsin_notify"),
                "TOCSIN_NOTIFY_ALERT_TARGET": alert.target,
                "TOCSIN_NOTIFY_SECRET_KEY": base64.b64encode(bytes(range(32))).decode(),
                "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
                **QUICK_DELIVERY,
            },
            notify_port,
            folder / "notify.log",
        )
        async with (
            running_receiver() as receiver,
            running(alert, notify),
            grpc.aio.insecure_channel(alert.target, options=IMPATIENT) as channel,
        ):
            await _create_webhook(notify.target, receiver.url)
            try:
                yield Stack(cluster, alert, notify, receiver, channel)
            except BaseException:
                await _tell_where_it_stood(cluster, receiver, folder)
                raise


async def _create_webhook(target: str, url: str) -> None:
    webhook = channel_pb2.Channel(
        display_name="receiver", enabled=True, webhook=channel_pb2.WebhookConfig(url=url)
    )
    async with grpc.aio.insecure_channel(target) as channel:
        await ChannelServiceStub(channel).CreateChannel(
            channel_service_pb2.CreateChannelRequest(channel=webhook)
        )


async def test_nothing_is_lost_or_doubled_when_all_is_killed_twenty_times_under_load(
    postgres_binaries: Binaries, tmp_path: Path
) -> None:
    async with running_stack(postgres_binaries, tmp_path) as stack:
        said = Acknowledged()
        alerts = AlertClient(stack.channel, retry=PATIENT)
        writers = [Writer(alerts, number, said) for number in range(WRITERS)]
        watcher = Watcher(stack.channel)
        following = asyncio.create_task(watcher.follow())
        writing = [asyncio.create_task(writer.write()) for writer in writers]

        await _kill_all(stack, said)
        for writer in writers:
            writer.stopping = True
        await asyncio.gather(*writing)
        await stack.notify.serving()

        log = await _log(stack.cluster)
        await asyncio.wait_for(watcher.reaches(len(log)), DRAIN_SECONDS)
        following.cancel()
        await eventually(partial(_all_ended, stack.cluster, len(log)), within=DRAIN_SECONDS)

        assert Counter() == Counter(said.transitions) - Counter(
            (str(row["alert_id"]), row["type"]) for row in log
        )
        assert list(range(1, len(log) + 1)) == [row["revision"] for row in log]
        assert list(range(1, len(log) + 1)) == watcher.revisions
        assert watcher.synthetic == 0
        assert await _keys_with_two_open_alerts(stack.cluster) == 0
        assert {"delivered", "superseded", "suppressed"} >= await _deliveries(stack.cluster)
        happened = [
            Happened(
                str(row["alert_id"]),
                row["revision"],
                row["type"] == event_pb2.ALERT_EVENT_TYPE_RESOLVED,
            )
            for row in log
        ]
        assert [] == broken_promises(happened, told_by_webhook(stack.receiver.requests))


async def _kill_all(stack: Stack, said: Acknowledged) -> None:
    kills = [stack.kill_alert, stack.kill_notify, stack.kill_postgres] * KILLS_OF_EACH
    random.Random(SEED).shuffle(kills)
    for kill in kills:
        await asyncio.wait_for(said.grows(by=5), DRAIN_SECONDS)
        await kill()


async def _fetch(cluster: Cluster, database: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(cluster.url(database))
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def _log(cluster: Cluster) -> list[asyncpg.Record]:
    query = "SELECT revision, alert_id, type FROM events ORDER BY revision"
    return await _fetch(cluster, "tocsin_alert", query)


async def _tell_where_it_stood(cluster: Cluster, receiver: Receiver, folder: Path) -> None:
    """Print what pytest shows of a test that fails: the last words of both, and the queue."""
    for name in ("alert.log", "notify.log"):
        print(name, (folder / name).read_text(errors="replace")[-6000:], sep=":\n")  # noqa: T201
    print(f"came: {len(receiver.requests)}, distinct: {len(receiver.webhook_ids)}")  # noqa: T201
    with suppress(OSError, asyncpg.PostgresError):  # it may be between two lives
        for row in await _fetch(cluster, "tocsin_notify", _UNFINISHED):
            print(dict(row))  # noqa: T201


_UNFINISHED = """
SELECT now(), state, state_reason, attempt_count, retry_count, next_attempt_time,
       lease_expire_time, create_time, (SELECT max(revision) FROM follower_position) AS followed
  FROM deliveries WHERE state <> 3 ORDER BY sequence LIMIT 20
"""


async def _keys_with_two_open_alerts(cluster: Cluster) -> int:
    query = (
        "SELECT 1 FROM alerts WHERE resolve_time IS NULL"
        " GROUP BY host_id, kind, dedup_key HAVING count(*) > 1"
    )
    return len(await _fetch(cluster, "tocsin_alert", query))


async def _all_ended(cluster: Cluster, head: int) -> bool:
    query = (
        "SELECT (SELECT revision FROM follower_position) AS followed, count(*) AS unfinished"
        " FROM deliveries WHERE state IN (1, 2, 6)"
    )
    [row] = await _fetch(cluster, "tocsin_notify", query)
    return (head, 0) == (row["followed"], row["unfinished"])


async def _deliveries(cluster: Cluster) -> set[str]:
    """Return the states of all deliveries. 4 is only for ends of what was never told."""
    names = {3: "delivered", 4: "suppressed", 5: "dead", 7: "superseded"}
    rows = await _fetch(cluster, "tocsin_notify", "SELECT DISTINCT state FROM deliveries")
    return {names[row["state"]] for row in rows}
