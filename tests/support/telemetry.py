"""What a running service shows of itself, read as Prometheus reads it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from support.alert import running_alert
from support.notify import running_notify
from support.receiver import running_receiver
from tocsin.api.notify.v1 import channel_pb2, channel_service_pb2, channel_service_pb2_grpc
from tocsin.client import AlertClient
from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.trace import TracerProvider

    from support.alert import RunningAlert
    from support.receiver import Receiver
    from tocsin.alert.app import AlertApp
    from tocsin.notify.app import NotifyApp

SHOWN = "127.0.0.1:0"
WEBHOOK = "on-call"


@dataclass(frozen=True)
class Metrics:
    """One look at a service. `samples` are values by name and labels."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]
    families: dict[str, str]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the series with these labels; 0 when there is none."""
        wanted = set(labels.items())
        return sum(
            value
            for (each, given), value in self.samples.items()
            if each == name and wanted <= given
        )


async def page(port: int, path: str, accept: str = "") -> tuple[int, str]:
    """Ask for a page: its status and its text."""
    headers = {"accept": accept} if accept else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def metrics(app: AlertApp | NotifyApp) -> Metrics:
    """Look at the metrics of a running service."""
    status, text = await page(app.telemetry.port, "/metrics")
    assert 200 == status
    families = list(text_string_to_metric_families(text))
    return Metrics(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        },
        {
            f"{family.name}_total" if family.type == "counter" else family.name: family.type
            for family in families
        },
    )


@dataclass(frozen=True)
class Site:
    """Both services, one webhook that is told everything, and a client."""

    alert: RunningAlert
    notify: NotifyApp
    receiver: Receiver
    client: AlertClient


@asynccontextmanager
async def running_site(
    alert_url: str,
    notify_url: str,
    *,
    alert_tracers: TracerProvider | None = None,
    notify_tracers: TracerProvider | None = None,
    **alert_settings: Any,
) -> AsyncIterator[Site]:
    """Run both services until the end of the block. It begins when all of it is ready."""
    async with (
        running_receiver() as receiver,
        running_alert(
            alert_url, metrics_listen=SHOWN, tracers=alert_tracers, **alert_settings
        ) as alert,
        running_notify(
            notify_url, alert.target, metrics_listen=SHOWN, tracers=notify_tracers
        ) as notify,
        open_channel(f"127.0.0.1:{notify.port}") as channel,
        AlertClient(alert.target) as client,
    ):
        wanted = channel_pb2.Channel(
            display_name=WEBHOOK,
            enabled=True,
            webhook=channel_pb2.WebhookConfig(url=receiver.url),
        )
        stub = channel_service_pb2_grpc.ChannelServiceStub(channel)
        await stub.CreateChannel(channel_service_pb2.CreateChannelRequest(channel=wanted))
        yield Site(alert, notify, receiver, client)
