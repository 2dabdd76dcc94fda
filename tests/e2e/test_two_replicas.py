"""Two replicas of each service on one PostgreSQL, as processes; one of each is killed at work."""

from __future__ import annotations

import asyncio
import base64
import socket
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.processes import ServiceProcess, free_port, running
from support.receiver import running_receiver
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, EventSubscription, NotifyClient, RetryPolicy
from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from pathlib import Path

    from support.postgres import NewDatabase

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

BEFORE, AFTER = 20, 20
SECONDS = 120
PATIENT = RetryPolicy(total=timedelta(minutes=2), attempt=timedelta(seconds=10))


def alert_process(url: str, folder: Path, number: int, **more: str) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_ALERT_DATABASE_URL": url,
        "TOCSIN_ALERT_INSECURE_DEV": "true",
        **more,
    }
    return ServiceProcess("tocsin.alert", environment, port, folder / f"alert-{number}.log")


def notify_process(url: str, target: str, folder: Path, number: int) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_NOTIFY_DATABASE_URL": url,
        "TOCSIN_NOTIFY_ALERT_TARGET": target,
        "TOCSIN_NOTIFY_INSECURE_DEV": "true",
        "TOCSIN_NOTIFY_SECRET_KEY": base64.b64encode(bytes(range(32))).decode(),
        "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TOCSIN_NOTIFY_LEASE_SECONDS": "4",
        "TOCSIN_NOTIFY_RETRY_SECONDS": ",".join(["0", *["1"] * 30]),
    }
    return ServiceProcess("tocsin.notify", environment, port, folder / f"notify-{number}.log")


async def test_what_one_replica_leaves_behind_the_other_one_goes_on_with(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    alert_url, notify_url = await new_database("alert"), await new_database("notify")
    alerts = [alert_process(alert_url, tmp_path, n) for n in range(2)]
    # Each goes by both replicas of the other service, as by a name that stands for both.
    target = f"ipv4:{alerts[0].target},{alerts[1].target}"
    notifies = [notify_process(notify_url, alerts[n].target, tmp_path, n) for n in range(2)]
    async with (
        running_receiver() as receiver,
        running(*alerts, *notifies),
        open_channel(target) as channel,
        AlertClient(channel, retry=PATIENT) as client,
        NotifyClient(notifies[1].target) as channels,
        EventSubscription(channel, on_first="oldest") as events,
    ):
        webhook = WebhookConfig(url=receiver.url)
        await channels.create_channel(Channel(display_name="on call", webhook=webhook))
        await asyncio.gather(*(raise_one(client, n) for n in range(BEFORE)))
        await receiver.wait_for(1, within=SECONDS)
        alerts[0].kill()
        notifies[0].kill()
        await asyncio.gather(*(raise_one(client, n) for n in range(BEFORE, BEFORE + AFTER)))

        total = BEFORE + AFTER
        told = set[str]()
        for count in range(1, 3 * total):
            await receiver.wait_for(count, within=SECONDS)
            told = {key for request in receiver.requests for key in keys_in(request.json)}
            if len(told) == total:
                break
        revisions = list[int]()
        async for batch in events:
            revisions += [each.event.position.revision for each in batch.events]
            if len(revisions) >= total:
                break

    assert list(range(1, total + 1)) == revisions
    assert {str(n) for n in range(total)} == told
    # What was being sent when its sender died may come twice, under the same id.
    by_id = {request.webhook_id: request.body for request in receiver.requests}
    assert len(receiver.requests) - len(by_id) <= 8
    assert len(by_id) <= total


async def raise_one(client: AlertClient, number: int) -> None:
    await client.raise_or_touch(f"host-{number}", "backup_failed", str(number))


def keys_in(body: dict[str, object]) -> list[str]:
    """Return the keys of the alerts that a message tells of: one, or those of a digest."""
    data = body["data"]
    assert isinstance(data, dict)
    told = [data["alert"]] if "alert" in data else [each["alert"] for each in data["alerts"]]
    return [alert["dedup_key"] for alert in told]


async def test_systemd_hears_from_a_real_process_that_it_serves_lives_and_stops(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(tmp_path / "notify"))
    heard.settimeout(60)
    given = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
    service = alert_process(await new_database("alert"), tmp_path, 0, **given)
    service.start()
    try:
        until_ready = await asyncio.to_thread(lines_until, heard, "READY=1")
        until_alive = await asyncio.to_thread(lines_until, heard, "STATUS=ready")
        alive = await asyncio.to_thread(lines_until, heard, "WATCHDOG=1")
        assert (0, "SERVING\n") == await asyncio.to_thread(health_of, service)
    finally:
        service.stop()
    assert (1, "UNREACHABLE\n") == await asyncio.to_thread(health_of, service)
    until_stopped = await asyncio.to_thread(lines_until, heard, "STOPPING=1")
    heard.close()

    assert "STOPPING=1" not in [*until_ready, *until_alive, *alive]
    assert "WATCHDOG=1" in alive
    assert "READY=1" not in until_stopped


def lines_until(heard: socket.socket, last: str) -> list[str]:
    """Return what is said until that is said."""
    said = [heard.recv(4096).decode()]
    while said[-1] != last:
        said.append(heard.recv(4096).decode())
    return said


def health_of(service: ServiceProcess) -> tuple[int, str]:
    """Ask as a container would: by the program itself, with the settings of the service."""
    command = [sys.executable, "-m", "tocsin.alert", "health"]
    asked = subprocess.run(
        command, check=False, capture_output=True, text=True, env=service._environment
    )
    return asked.returncode, asked.stdout
