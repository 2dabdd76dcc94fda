"""One life of an alert in the logs of both services, as they write them off a terminal."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest

from support.identity import Credentials
from support.pems import Pems
from support.processes import ServiceProcess, free_port, running
from support.receiver import Answer, running_receiver
from support.waiting import eventually
from tocsin.api.notify.v1 import channel_service_pb2
from tocsin.api.notify.v1.channel_pb2 import (
    EMAIL_SECURITY_STARTTLS,
    Channel,
    EmailConfig,
    SlackConfig,
    TelegramConfig,
    WebhookConfig,
)
from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceStub
from tocsin.client import AlertClient
from tocsin.client.errors import CallError
from tocsin.common.identity.roles import Role
from tocsin.common.rpc.client_credentials import ClientCredentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

DATABASE_PASSWORD = "dbp4ssw0rd-in-a-url"
SECRET = "s3cr3t0123456789abcdefSECRET"
KEY = base64.b64encode(b"K" * 32).decode()


@dataclass
class Logged:
    """What the two services write, and who may call them."""

    folder: Path
    pems: Pems
    alert: ServiceProcess
    alert_target: str
    notify: ServiceProcess
    reporter: str

    def lines(self, service: str) -> list[dict[str, Any]]:
        """Return every line of a log; fails for one that is no JSON."""
        text = (self.folder / f"{service}.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def named(self, service: str, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines(service) if line["event"] == event]


def with_password(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f"{parts.username}@", f"{parts.username}:{DATABASE_PASSWORD}@", 1)


@pytest.fixture
async def logged(alert_url: str, notify_url: str, tmp_path: Path) -> AsyncIterator[Logged]:
    async with both_running(alert_url, notify_url, tmp_path) as site:
        yield site


@asynccontextmanager
async def both_running(alert_url: str, notify_url: str, folder: Path) -> AsyncIterator[Logged]:
    pems, credentials = Pems(folder), Credentials(alert_url)
    certificate = pems.server()
    reporter = await credentials.token(Role.ORCHESTRATOR, name="agent", hosts=["web-1"])
    watcher = await credentials.token(Role.ORCHESTRATOR, Role.SUBSCRIBER, name="notify")
    port, health, notify_port = free_port(), free_port(), free_port()
    (folder / "watcher.token").touch(0o600)
    (folder / "watcher.token").write_text(watcher)
    alert = {
        "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_ALERT_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "TOCSIN_ALERT_DATABASE_URL": with_password(alert_url),
        "TOCSIN_ALERT_TLS_CERTIFICATE_FILE": str(certificate["tls_certificate_file"]),
        "TOCSIN_ALERT_TLS_KEY_FILE": str(certificate["tls_key_file"]),
        "TOCSIN_ALERT_LOG_LEVEL": "DEBUG",
    }
    notify = {
        "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{notify_port}",
        "TOCSIN_NOTIFY_INSECURE_DEV": "true",
        "TOCSIN_NOTIFY_DATABASE_URL": with_password(notify_url),
        "TOCSIN_NOTIFY_ALERT_TARGET": f"127.0.0.1:{port}",
        "TOCSIN_NOTIFY_ALERT_CA_FILE": str(pems.ca),
        "TOCSIN_NOTIFY_ALERT_TOKEN_FILE": str(folder / "watcher.token"),
        "TOCSIN_NOTIFY_SECRET_KEY": KEY,
        "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TOCSIN_NOTIFY_LOG_LEVEL": "DEBUG",
    }
    services = (
        ServiceProcess("tocsin.alert", alert, health, folder / "alert.log"),
        ServiceProcess("tocsin.notify", notify, notify_port, folder / "notify.log"),
    )
    async with running(*services):
        yield Logged(folder, pems, services[0], f"127.0.0.1:{port}", services[1], reporter)


def failing_channels(url: str) -> dict[str, Any]:
    """Return channels with a secret each, whose far side refuses or is not there."""
    return {
        "webhook": WebhookConfig(url=f"{url}/hook?token={SECRET}"),
        "slack": SlackConfig(webhook_url=f"{url}/services/T0/B0/{SECRET}"),
        "telegram": TelegramConfig(bot_token=f"123:{SECRET}", chat_id="@ops", api_url=url),
        "email": EmailConfig(
            smtp_host="127.0.0.1",
            smtp_port=free_port(),
            from_address="tocsin@example.org",
            to_addresses=["ops@example.org"],
            username="tocsin",
            password=SECRET,
            security=EMAIL_SECURITY_STARTTLS,
        ),
    }


async def create_channels(site: Logged, good: str, bad: str) -> None:
    async with grpc.aio.insecure_channel(site.notify.target) as channel:
        stub: Any = ChannelServiceStub(channel)
        wanted: dict[str, Any] = {"works": ("webhook", WebhookConfig(url=good))}
        wanted |= {name: (name, config) for name, config in failing_channels(bad).items()}
        for name, (kind, config) in wanted.items():
            one: dict[str, Any] = {kind: config}
            given = Channel(display_name=name, enabled=True, **one)
            made = await stub.CreateChannel(channel_service_pb2.CreateChannelRequest(channel=given))
        await stub.TestChannel(
            channel_service_pb2.TestChannelRequest(channel_id=made.channel.channel_id)
        )


async def shake_no_hand(target: str) -> None:
    """Speak to a port of TLS as if it were none."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: tocsin\r\n\r\n")
    await reader.read()
    writer.close()


async def test_ids_lead_from_the_call_to_the_delivery_and_no_line_tells_a_secret(
    logged: Logged,
) -> None:
    trust = ClientCredentials(token=logged.reporter, ca_file=logged.pems.ca)
    nobody = ClientCredentials(token="tocsin_" + "N" * 43, ca_file=logged.pems.ca)
    async with running_receiver() as good, running_receiver() as bad:
        bad.always = Answer(500, body=f"no 123:{SECRET}".encode())  # as each knows its own
        await create_channels(logged, f"{good.url}/", bad.url)
        await shake_no_hand(logged.alert_target)
        async with AlertClient(logged.alert_target, credentials=trust) as alerts:
            raised = await alerts.raise_or_touch("web-1", "disk_full", request_id="req-42")
            for host_id, kind in (("db-1", "disk_full"), ("web-1", "No Kind")):
                with pytest.raises(CallError):
                    await alerts.raise_or_touch(host_id, kind)
        async with AlertClient(logged.alert_target, credentials=nobody) as alerts:
            with pytest.raises(CallError):
                await alerts.raise_or_touch("web-1", "disk_full")
        (told,) = await good.wait_for(1)
        alert_id = raised.alert.alert_id

        def failed() -> bool:
            lines = logged.named("notify", "attempt_failed")
            return 4 <= len({each["channel_id"] for each in lines if each.get("delivery_id")})

        await eventually(failed, within=60)
    logged.alert.stop()
    logged.notify.stop()

    assert_lines_are_whole(logged)
    (call,) = logged.named("alert", "call_done")
    assert ("req-42", alert_id, "agent") == (call["request_id"], call["alert_id"], call["actor"])
    (arrived,) = logged.named("notify", "attempt_delivered")
    assert (alert_id, told.headers["webhook-id"]) == (arrived["alert_id"], arrived["event_id"])
    assert arrived["delivery_id"]
    told_off = [line["reason"] for line in logged.named("alert", "call_refused")]
    refused = [reason for reason in told_off if reason != "DRAINING"]  # notify's stream
    assert ["HOST_NOT_ALLOWED", "INVALID_FIELD", "TOKEN_INVALID"] == sorted(refused)
    assert_no_secret(logged)


def assert_lines_are_whole(site: Logged) -> None:
    for service in ("alert", "notify"):
        lines = site.lines(service)
        assert lines
        assert {f"tocsin-{service}"} == {line["service"] for line in lines}
        assert all({"timestamp", "level", "event"} <= line.keys() for line in lines)


def assert_no_secret(site: Logged) -> None:
    secrets = [DATABASE_PASSWORD, SECRET, KEY, site.reporter, "N" * 43, "s3cr3t"]
    secrets.append((site.folder / "watcher.token").read_text())
    for service in ("alert", "notify"):
        text = (site.folder / f"{service}.log").read_text()
        found = [line for line in text.splitlines() if any(each in line for each in secrets)]
        assert [] == found
