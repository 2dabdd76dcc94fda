"""A rolling update: the version before serves on the new schema, beside the new version."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.previous_version import PreviousProcess, previous_commit, unpack
from support.processes import ServiceProcess, free_port
from support.receiver import Receiver, running_receiver
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, NotifyClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.postgres import NewDatabase

COMMIT = previous_commit()

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.skipif(COMMIT is None, reason="the history has no version before this one"),
]

SECONDS = 120


@dataclass(frozen=True)
class Place:
    """One replica of each service, of one version."""

    alert: ServiceProcess
    notify: ServiceProcess

    async def start(self) -> None:
        for service in (self.alert, self.notify):
            service.start()
            await service.serving()

    def stop(self) -> None:
        self.notify.stop()
        self.alert.stop()


class Update:
    """Both versions on the same two databases."""

    def __init__(self, databases: tuple[str, str], folder: Path) -> None:
        assert COMMIT is not None
        self._folder = folder
        self._databases = databases
        self.code = unpack(COMMIT, folder / "previous")
        self.old = self._place("old", {"PYTHONPATH": self.code})
        self.new = self._place("new", {"TOCSIN_ALERT_INSECURE_DEV": "true"})

    def _place(self, name: str, more: Mapping[str, str]) -> Place:
        alert_port, notify_port = free_port(), free_port()
        kind = PreviousProcess if name == "old" else ServiceProcess
        migrates = str(name == "old").lower()
        alert = {
            **self.environment(),
            "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{alert_port}",
            "TOCSIN_ALERT_MIGRATE_ON_START": migrates,
        }
        notify = {
            **self.environment(),
            "TOCSIN_NOTIFY_LISTEN": f"127.0.0.1:{notify_port}",
            "TOCSIN_NOTIFY_ALERT_TARGET": f"127.0.0.1:{alert_port}",
            "TOCSIN_NOTIFY_MIGRATE_ON_START": migrates,
        }
        return Place(
            kind("tocsin.alert", {**alert, **more}, alert_port, self._folder / f"{name}-a.log"),
            kind("tocsin.notify", {**notify, **more}, notify_port, self._folder / f"{name}-n.log"),
        )

    def environment(self) -> dict[str, str]:
        return {
            "TOCSIN_ALERT_DATABASE_URL": self._databases[0],
            "TOCSIN_ALERT_INSECURE_DEV": "true",
            "TOCSIN_NOTIFY_DATABASE_URL": self._databases[1],
            "TOCSIN_NOTIFY_INSECURE_DEV": "true",
            "TOCSIN_NOTIFY_SECRET_KEY": base64.b64encode(bytes(range(32))).decode(),
            "TOCSIN_NOTIFY_ALLOWED_NETWORKS": "127.0.0.0/8",
            "TOCSIN_NOTIFY_LEASE_SECONDS": "4",
        }

    async def migrate(self, phase: str) -> None:
        for module in ("tocsin.alert", "tocsin.notify"):
            command = [sys.executable, "-m", module, "migrate", "--phase", phase]
            await asyncio.to_thread(
                subprocess.run,
                command,
                check=True,
                capture_output=True,
                env={**os.environ, **self.environment()},
            )


async def test_the_version_before_serves_on_the_new_schema_and_beside_the_new_version(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    databases = (await new_database("empty"), await new_database("empty"))
    update = Update(databases, tmp_path)
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(running_receiver())
        for place in (update.old, update.new):
            stack.callback(place.stop)
        await update.old.start()
        old = await stack.enter_async_context(AlertClient(update.old.alert.target))
        await make_channel(update.old, receiver)
        first = await old.raise_or_touch("web-1", "backup_failed", "first")
        await receiver.wait_for(1, within=SECONDS)

        await update.migrate("before")
        await old.raise_or_touch("web-1", "backup_failed", "second")
        await old.acknowledge(first.alert.alert_id)
        await receiver.wait_for(3, within=SECONDS)
        await old.auto_resolve("web-1", "backup_failed", "first")
        await receiver.wait_for(4, within=SECONDS)

        await update.new.start()
        new = await stack.enter_async_context(AlertClient(update.new.alert.target))
        await old.raise_or_touch("web-1", "backup_failed", "third")
        touched = await new.raise_or_touch("web-1", "backup_failed", "third")
        assert 2 == touched.alert.occurrences
        await new.auto_resolve("web-1", "backup_failed", "second")
        await receiver.wait_for(6, within=SECONDS)

        update.old.stop()
        await update.migrate("after")
        await new.auto_resolve("web-1", "backup_failed", "third")
        await receiver.wait_for(7, within=SECONDS)

    ids = [request.webhook_id for request in receiver.requests]
    assert 7 == len(ids) == len(set(ids))
    assert {"first", "second", "third"} == {
        request.json["data"]["alert"]["dedup_key"]
        for request in receiver.requests
        if request.json["type"] == "alert.resolved"
    }


async def make_channel(place: Place, receiver: Receiver) -> None:
    async with NotifyClient(place.notify.target) as channels:
        webhook = WebhookConfig(url=receiver.url)
        await channels.create_channel(Channel(display_name="on call", webhook=webhook))
