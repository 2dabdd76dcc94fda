"""The event log in a real NATS JetStream: whatever dies, no gap and no double."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert import running_alert
from support.nats import NatsServer, event_of, messages_of, needs_nats, running_nats
from support.waiting import eventually
from tocsin.alert.eventlog import identity
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_RAISED,
    ALERT_EVENT_TYPE_RESOLVED,
)
from tocsin.client import AlertClient
from tocsin.client.nats_relay import NatsRelay
from tocsin.client.nats_stream import AlertStream, StreamUnusableError
from tocsin.common.backoff import Backoff
from tocsin.common.ids import uuid7
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import grpc
    from nats.aio.client import Client

pytestmark = [pytest.mark.postgres, pytest.mark.slow, needs_nats]

STREAM, SUBJECT = "tocsin", "tocsin.events"
SECONDS = 90.0
"""A relay that is a process of its own takes its time to start on a busy machine."""


def stream_of(client: Client) -> AlertStream:
    return AlertStream(client, STREAM, SUBJECT, most_messages=100_000)


@asynccontextmanager
async def relaying(channel: grpc.aio.Channel, client: Client) -> AsyncIterator[asyncio.Task[None]]:

    soon = Backoff(first=timedelta(milliseconds=20), ceiling=timedelta(milliseconds=200))
    task = asyncio.create_task(NatsRelay(channel, stream_of(client), backoff=soon).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def holds(client: Client, count: int) -> None:
    """Wait until the stream holds so many messages."""

    async def enough() -> bool:
        end = await stream_of(client).end()
        return end.sequence >= count

    await eventually(enough, within=SECONDS)


async def raise_many(alerts: AlertClient, begin: int, count: int) -> None:
    for n in range(begin, begin + count):
        await alerts.raise_or_touch(f"host-{n % 50}", "backup_failed", str(n))


async def revisions_in(client: Client) -> list[int]:
    return [event_of(each).position.revision for each in await messages_of(client, STREAM)]


async def test_every_event_is_in_the_stream_once_and_in_order(
    alert_url: str, tmp_path: Path
) -> None:
    async with (
        running_nats(tmp_path) as server,
        server.connected() as client,
        running_alert(alert_url) as alert,
        AlertClient(alert.target) as alerts,
    ):
        await raise_many(alerts, 0, 5)  # before anybody relays
        async with relaying(alert.channel, client):
            await raise_many(alerts, 5, 5)
            await holds(client, 10)
        messages = await messages_of(client, STREAM)

    events = [event_of(each) for each in messages]
    assert list(range(1, 11)) == [each.position.revision for each in events]
    position = events[0].position
    assert f"{position.epoch}:1" == (messages[0].headers or {})["Nats-Msg-Id"]
    assert f"{SUBJECT}.backup_failed.{events[0].alert.alert_id}" == messages[0].subject


async def test_relays_that_are_killed_again_and_again_leave_no_gap_and_no_double(
    alert_url: str, tmp_path: Path
) -> None:
    """Real processes, killed with messages sent whose answers they never saw."""
    async with (
        running_nats(tmp_path) as server,
        server.connected() as client,
        running_alert(alert_url) as alert,
        AlertClient(alert.target) as alerts,
    ):
        await stream_of(client).end()  # makes the stream
        writing = asyncio.create_task(raise_many(alerts, 0, 400))
        for life in range(1, 6):
            with started_relay(server, alert.target):
                await holds(client, 40 * life)
        await writing
        with started_relay(server, alert.target):
            await holds(client, 400)

        assert list(range(1, 401)) == await revisions_in(client)


@contextmanager
def started_relay(server: NatsServer, target: str) -> Iterator[None]:
    """Run one until the end of the block; then it is killed."""
    options = ["--server", server.url, "--stream", STREAM, "--target", target]
    with subprocess.Popen(
        [sys.executable, "-m", "tocsin.cli", "relay", "nats", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    ) as relay:
        try:
            yield
        finally:
            relay.send_signal(signal.SIGKILL)


async def test_two_relays_at_once_write_each_event_once(alert_url: str, tmp_path: Path) -> None:
    async with (
        running_nats(tmp_path) as server,
        server.connected() as client,
        server.connected() as other,
        running_alert(alert_url) as alert,
        AlertClient(alert.target) as alerts,
        relaying(alert.channel, client),
        relaying(alert.channel, other),
    ):
        await raise_many(alerts, 0, 100)
        await holds(client, 100)

        assert list(range(1, 101)) == await revisions_in(client)


async def test_a_nats_server_that_dies_is_waited_for(alert_url: str, tmp_path: Path) -> None:
    async with (
        running_nats(tmp_path) as server,
        server.connected() as client,
        running_alert(alert_url) as alert,
        AlertClient(alert.target) as alerts,
        relaying(alert.channel, client),
    ):
        await raise_many(alerts, 0, 20)
        await holds(client, 20)
        server.kill()
        await raise_many(alerts, 20, 20)
        server.start()
        await holds(client, 40)

        assert list(range(1, 41)) == await revisions_in(client)


async def test_after_a_restore_the_difference_is_appended_once(
    alert_url: str, tmp_path: Path
) -> None:
    async with running_nats(tmp_path) as server, server.connected() as client:
        async with (
            running_alert(alert_url) as alert,
            AlertClient(alert.target) as alerts,
            relaying(alert.channel, client),
        ):
            await raise_many(alerts, 0, 3)
            await holds(client, 3)
        await restore(alert_url)
        async with (
            running_alert(alert_url) as alert,
            AlertClient(alert.target) as alerts,
        ):
            for _ in range(2):  # the second one finds nothing to do
                async with relaying(alert.channel, client):
                    await holds(client, 4)
            async with relaying(alert.channel, client):
                await raise_many(alerts, 10, 1)
                await holds(client, 5)
            messages = await messages_of(client, STREAM)

    events = [event_of(each) for each in messages]
    raised, resolved = ALERT_EVENT_TYPE_RAISED, ALERT_EVENT_TYPE_RESOLVED
    assert [raised, raised, raised, resolved, raised] == [each.type for each in events]
    assert ["", "", "", "true", ""] == [
        (each.headers or {}).get("Tocsin-Synthetic", "") for each in messages
    ]
    assert "2" == events[3].alert.dedup_key


async def restore(url: str) -> None:
    """Take the database back to before the third alert, under a new epoch."""
    database = Database(url, application_name="test")
    async with database.connection() as connection:
        for table in ("alerts", "alert_keys"):
            await connection.execute(f"DELETE FROM {table} WHERE dedup_key = '2'")
        await connection.execute("DELETE FROM events WHERE revision = 3")
    await identity.renew(database, uuid7)
    await database.close()


async def test_a_stream_that_was_purged_is_not_gone_on_with(alert_url: str, tmp_path: Path) -> None:
    async with (
        running_nats(tmp_path) as server,
        server.connected() as client,
        running_alert(alert_url) as alert,
        AlertClient(alert.target) as alerts,
    ):
        async with relaying(alert.channel, client):
            await raise_many(alerts, 0, 3)
            await holds(client, 3)
        await client.jetstream().purge_stream(STREAM)

        with pytest.raises(StreamUnusableError, match="has lost its last message"):
            await NatsRelay(alert.channel, stream_of(client)).run()


async def test_a_stream_of_somebody_else_is_not_written_to(alert_url: str, tmp_path: Path) -> None:
    async with (
        running_nats(tmp_path) as server,
        server.connected() as client,
        running_alert(alert_url) as alert,
    ):
        await stream_of(client).end()
        await client.jetstream().publish(f"{SUBJECT}.x", b"hello")

        with pytest.raises(StreamUnusableError, match="is not one of Tocsin's"):
            await NatsRelay(alert.channel, stream_of(client)).run()
