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
from support.told import Happened, broken_promises, told_by_webhook
from support.waiting import eventually
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RESOLVED as RESOLVED
from tocsin.api.notify.v1 import channel_pb2, channel_service_pb2
from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceStub
from tocsin.common.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.common.postgres.engine import Database

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

KILLS = 5
STANDING = """
SELECT (SELECT revision FROM follower_position), count(*) FROM deliveries WHERE state IN (1, 2, 6)
"""


async def _create_webhook(target: str, url: str) -> None:
    wanted = channel_pb2.Channel(
        display_name="receiver", enabled=True, webhook=channel_pb2.WebhookConfig(url=url)
    )
    async with grpc.aio.insecure_channel(target) as channel:
        await ChannelServiceStub(channel).CreateChannel(
            channel_service_pb2.CreateChannelRequest(channel=wanted)
        )


def _a_notify(url: str, alert_port: int, log: Path, *, lease: int = 2) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_NOTIFY_INSECURE_DEV": "true",
        "TOCSIN_NOTIFY_DATABASE_URL": url,
        "TOCSIN_NOTIFY_ALERT_TARGET": f"127.0.0.1:{alert_port}",
        "TOCSIN_NOTIFY_SECRET_KEY": base64.b64encode(b"k" * 32).decode(),
        "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TOCSIN_NOTIFY_LEASE_SECONDS": str(lease),
        "TOCSIN_NOTIFY_RETRY_SECONDS": ",".join(["0", *["1"] * 4 * KILLS]),
    }
    return ServiceProcess("tocsin.notify", environment, port, log)


async def test_kills_lose_nothing_and_what_comes_twice_bears_the_same_id(
    notify_url: str, notify_database: Database, tmp_path: Path
) -> None:
    log, ground = ScriptedLog(page=20), Ground(notify_database, SystemClock())
    async with running_receiver() as receiver, serving(log) as alert_port:
        notify = _a_notify(notify_url, alert_port, tmp_path / "notify.log")
        async with running(notify):
            await _create_webhook(notify.target, receiver.url)
            for kill in range(KILLS):
                for number in range(kill * 20 + 1, kill * 20 + 21):
                    log.append(an_alert(number))
                    if kill:
                        log.append(resolved(number - 20))
                before = len(receiver.requests)
                await receiver.wait_until(
                    lambda before=before: len(receiver.requests) > before + 3  # type: ignore[misc]
                )
                notify.kill()
                notify.start()

            await _until_all_ended(ground, log)

    told = told_by_webhook(receiver.requests)
    assert [] == broken_promises(_happened(log), told)
    assert len(told) - len(receiver.webhook_ids) <= KILLS * 8  # what was under way at each kill


async def test_of_two_replicas_one_sends_each_delivery_and_either_may_die(
    notify_url: str, notify_database: Database, tmp_path: Path
) -> None:
    log, ground = ScriptedLog(page=20), Ground(notify_database, SystemClock())
    async with running_receiver() as receiver, serving(log) as alert_port:
        replicas = [
            _a_notify(notify_url, alert_port, tmp_path / f"notify{number}.log", lease=5)
            for number in range(2)
        ]
        async with running(*replicas):
            await _create_webhook(replicas[0].target, receiver.url)
            for number in range(1, 101):
                log.append(an_alert(number))
            await _until_all_ended(ground, log)
            assert 100 == len(receiver.requests)
            for dies, number in enumerate(range(101, 141, 10)):
                for each in range(number, number + 10):
                    log.append(an_alert(each))
                    log.append(resolved(each - 100))
                before = len(receiver.requests)
                await receiver.wait_until(
                    lambda before=before: len(receiver.requests) > before + 3  # type: ignore[misc]
                )
                replicas[dies % 2].kill()
                await _until_all_ended(ground, log)
                replicas[dies % 2].start()
                await replicas[dies % 2].serving()

    told = told_by_webhook(receiver.requests)
    assert [] == broken_promises(_happened(log), told)
    assert len(told) - len(receiver.webhook_ids) <= 4 * 8


def _happened(log: ScriptedLog) -> list[Happened]:
    return [
        Happened(event.alert.alert_id, event.position.revision, event.type == RESOLVED)
        for event in log.events
    ]


async def _until_all_ended(ground: Ground, log: ScriptedLog) -> None:
    """Wait until all is told, or stood for by newer news, or there was nothing to take back."""

    async def is_so() -> bool:
        return [(log.head, 0)] == await ground.rows(STANDING)

    await eventually(is_so, within=120)
    states = await ground.rows("SELECT DISTINCT state, reason FROM deliveries")
    assert set(states) <= {(3, 0), (7, 30), (4, 31)}
