"""tocsin-notify is killed at work, again and again: everything is told, under its own id."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import grpc
import pytest

from support.alert_stubs import an_alert, resolved
from support.notify_ground import Ground
from support.processes import ServiceProcess, free_port, running
from support.receiver import running_receiver
from support.scripted_log import ScriptedLog, serving
from support.waiting import eventually
from tocsin.api.notify.v1 import channel_pb2, channel_service_pb2
from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceStub
from tocsin.common.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from support.receiver import Receiver
    from tocsin.common.postgres.engine import Database

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

KILLS = 5


async def _create_webhook(target: str, url: str) -> None:
    wanted = channel_pb2.Channel(
        display_name="receiver", enabled=True, webhook=channel_pb2.WebhookConfig(url=url)
    )
    async with grpc.aio.insecure_channel(target) as channel:
        await ChannelServiceStub(channel).CreateChannel(
            channel_service_pb2.CreateChannelRequest(channel=wanted)
        )


def _a_notify(url: str, alert_port: int, log: Path) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_NOTIFY_DATABASE_URL": url,
        "TOCSIN_NOTIFY_ALERT_TARGET": f"127.0.0.1:{alert_port}",
        "TOCSIN_NOTIFY_SECRET_KEY": base64.b64encode(b"k" * 32).decode(),
        "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TOCSIN_NOTIFY_LEASE_SECONDS": "2",
    }
    return ServiceProcess("tocsin.notify", environment, port, log)


def _first_revisions(receiver: Receiver) -> dict[str, list[int]]:
    """Return, for each alert, the revisions in the order in which they were first told."""
    told: dict[str, list[int]] = {}
    for request in receiver.requests:
        data = request.json["data"]
        revisions = told.setdefault(data["alert"]["alert_id"], [])
        if data["position"]["revision"] not in revisions:
            revisions.append(data["position"]["revision"])
    return told


async def test_kills_lose_nothing_and_what_comes_twice_bears_the_same_id(
    notify_url: str, notify_database: Database, tmp_path: Path
) -> None:
    log, ground = ScriptedLog(page=20), Ground(notify_database, SystemClock())
    async with running_receiver() as receiver, serving(log) as alert_port:
        notify = _a_notify(notify_url, alert_port, tmp_path / "notify.log")
        async with running(notify):
            await _create_webhook(notify.target, receiver.url)
            for kill in range(KILLS):
                for number in range(kill * 20, kill * 20 + 20):
                    log.append(an_alert(number + 1))
                    log.append(resolved(number + 1))
                told = len(receiver.requests)
                await receiver.wait_until(lambda told=told: len(receiver.requests) > told + 3)  # type: ignore[misc]
                notify.kill()
                notify.start()
            await receiver.wait_until(
                lambda: len({each.webhook_id for each in receiver.requests}) == log.head,
                within=60,
            )

            async def all_ended() -> bool:
                return await ground.unfinished() == 0

            await eventually(all_ended, within=30)

    assert {event.event_id for event in log.events} == {
        request.webhook_id for request in receiver.requests
    }
    assert all(sorted(told) == told for told in _first_revisions(receiver).values())
    assert [(3, log.head)] == await ground.rows(
        "SELECT state, count(*) FROM deliveries GROUP BY state"
    )
    assert len(receiver.requests) - log.head <= KILLS * 8  # what was under way at each kill
