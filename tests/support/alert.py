"""tocsin-alert inside the test's process, on a port of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.health import ready
from tocsin.alert.app import AlertApp
from tocsin.alert.config import AlertSettings
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.api.alert.v1.backup_service_pb2_grpc import BackupServiceStub
from tocsin.common.rpc.channel import NONE, open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc
    from opentelemetry.trace import TracerProvider

    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from tocsin.api.alert.v1.backup_service_pb2_grpc import BackupServiceAsyncStub
    from tocsin.common.clock import Clock
    from tocsin.common.rpc.client_credentials import ClientCredentials


@dataclass(frozen=True)
class RunningAlert:
    """A service that is ready, with a channel to it."""

    app: AlertApp
    target: str
    channel: grpc.aio.Channel
    alerts: AlertServiceAsyncStub
    backups: BackupServiceAsyncStub


def alert_settings(url: str, **overrides: Any) -> AlertSettings:
    """Settings for a test: a migrated database, a free port, no waiting at the end."""
    given = {
        "listen": "127.0.0.1:0",
        "migrate_on_start": False,
        "drain_seconds": 1,
        "insecure_dev": True,
    }
    return AlertSettings(database_url=url, **{**given, **overrides})


@asynccontextmanager
async def running_alert(
    url: str,
    *,
    clock: Clock | None = None,
    credentials: ClientCredentials = NONE,
    tracers: TracerProvider | None = None,
    **overrides: Any,
) -> AsyncIterator[RunningAlert]:
    """Run the service on a migrated database until the end of the block.

    `credentials` are those of the channel to it. `overrides` are settings by the names of
    AlertSettings.
    """
    app = AlertApp(alert_settings(url, **overrides), clock=clock, tracers=tracers)
    await app.start()
    try:
        target = f"127.0.0.1:{app.port}"
        async with open_channel(target, credentials) as channel:
            await ready(channel)
            yield RunningAlert(
                app, target, channel, AlertServiceStub(channel), BackupServiceStub(channel)
            )
    finally:
        await app.stop()
