"""tocsin-notify in this process, on a free port."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from support.health import ready
from support.notifications import LOOPBACK
from tocsin.common.rpc.channel import open_channel
from tocsin.notify.app import NotifyApp
from tocsin.notify.config import NotifySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.trace import TracerProvider

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.registry import Senders

KEY = b"k" * 32
NO_ALERT_SERVICE = "127.0.0.1:1"


def notify_settings(url: str, alert_target: str, **overrides: Any) -> NotifySettings:
    """Return settings for a test: loopback may be called, retries come at once."""
    given: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "database_url": url,
        "alert_target": alert_target,
        "secret_key": base64.b64encode(KEY).decode(),
        "allowed_networks": LOOPBACK,
        "retry_seconds": (0, 0.05, 0.1, 0.2, 0.4, 0.8),
        "migrate_on_start": False,
        "drain_seconds": 1,
        "insecure_dev": True,
    }
    return NotifySettings(**{**given, **overrides})


@asynccontextmanager
async def running_notify(
    url: str,
    alert_target: str,
    *,
    clock: Clock | None = None,
    senders: Senders | None = None,
    tracers: TracerProvider | None = None,
    **overrides: Any,
) -> AsyncIterator[NotifyApp]:
    """Run the service on a migrated database. `app.port` says where it listens.

    The block begins when it follows the alert service: what is raised from then on is told. (What
    a first start finds open is not.) With NO_ALERT_SERVICE as its target it begins at once.
    """
    settings = notify_settings(url, alert_target, **overrides)
    app = NotifyApp(settings, clock=clock, senders=senders, tracers=tracers)
    await app.start()
    try:
        if alert_target != NO_ALERT_SERVICE:
            async with open_channel(f"127.0.0.1:{app.port}") as channel:
                await ready(channel)
        yield app
    finally:
        await app.stop()
