"""The alert service is restored or compacted past notify: what is open is told once, all the same.

Through both services and a webhook. Each restore is made as an operator would meet it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from support.alert import running_alert
from support.notify import running_notify
from support.notify_ground import Ground
from support.receiver import running_receiver
from support.waiting import eventually
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, NotifyClient
from tocsin.common.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.postgres import PostgresServer
    from support.receiver import Receiver
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

KIND = "backup_failed"
# The log and the alerts as they were at a revision, on the same epoch: files copied back.
GO_BACK = """
WITH late AS (SELECT alert_id FROM events WHERE type = 1 AND revision > $1),
     forgotten AS (DELETE FROM alert_keys k USING alerts a, late
                    WHERE a.alert_id = late.alert_id AND k.host_id = a.host_id
                      AND k.kind = a.kind AND k.dedup_key = a.dedup_key)
DELETE FROM alerts USING late WHERE alerts.alert_id = late.alert_id
"""


class Stage:
    """Both services and a receiver; the alert service may be stopped and started elsewhere."""

    def __init__(
        self, server: PostgresServer, alert_url: str, notify: Ground, receiver: Receiver
    ) -> None:
        self.server = server
        self.alert_url = alert_url
        self.receiver = receiver
        self._notify = notify
        self.port = 0

    @asynccontextmanager
    async def alerting(self, url: str = "") -> AsyncIterator[AlertClient]:
        listen = f"127.0.0.1:{self.port}"
        async with running_alert(url or self.alert_url, listen=listen) as alert:
            self.port = alert.app.port
            async with AlertClient(alert.target) as alerts:
                yield alerts

    @asynccontextmanager
    async def notifying(self, url: str) -> AsyncIterator[NotifyClient]:
        async with (
            running_notify(url, f"127.0.0.1:{self.port}") as app,
            NotifyClient(f"127.0.0.1:{app.port}") as client,
        ):
            yield client

    async def copy_of_alerts(self, name: str) -> str:
        """Back up the alert service's database, which must be stopped: the URL of the copy."""
        source = self.alert_url.rpartition("/")[2].partition("?")[0]
        return await asyncio.to_thread(self.server.cluster.create_database, name, template=source)

    async def caught_up(self, alerts: AlertClient) -> None:
        """Wait until notify has taken in and told everything."""
        head = (await alerts.list_alerts_page()).position

        async def is_so() -> bool:
            rows = await self._notify.rows("SELECT epoch::text, revision FROM follower_position")
            return rows == [(head.epoch, head.revision)] and not await self._notify.unfinished()

        await eventually(is_so, within=30)

    def told(self) -> list[tuple[str, str, bool]]:
        """Return what was told: what happened, to which key, and whether it is synthetic."""
        bodies = [request.json["data"] for request in self.receiver.requests]
        return [(each["type"], each["alert"]["dedup_key"], each["synthetic"]) for each in bodies]


@pytest.fixture
async def stage(
    postgres_server: PostgresServer, alert_url: str, notify_database: Database
) -> AsyncIterator[Stage]:
    async with running_receiver() as receiver:
        ground = Ground(notify_database, SystemClock())
        yield Stage(postgres_server, alert_url, ground, receiver)


async def raise_alerts(alerts: AlertClient, *keys: str) -> None:
    for key in keys:
        await alerts.raise_or_touch("web-1", KIND, key)


async def create_webhook(notify: NotifyClient, stage: Stage) -> None:
    webhook = WebhookConfig(url=stage.receiver.url)
    await notify.create_channel(Channel(display_name="on call", webhook=webhook))


async def test_after_a_restored_backup_what_is_open_has_been_told_once_and_what_is_gone_is_over(
    stage: Stage, notify_url: str
) -> None:
    async with stage.alerting() as alerts, stage.notifying(notify_url) as notify:
        await stage.caught_up(alerts)
        await create_webhook(notify, stage)
        await raise_alerts(alerts, "stays", "healed-later")
        await stage.caught_up(alerts)
    backup = await stage.copy_of_alerts("restored_alert")
    async with stage.alerting() as alerts, stage.notifying(notify_url):
        await raise_alerts(alerts, "lost")
        await alerts.auto_resolve("web-1", KIND, "healed-later")
        await stage.caught_up(alerts)
    before = stage.told()
    async with stage.alerting(backup) as alerts:
        await raise_alerts(alerts, "new")
        async with stage.notifying(notify_url):
            await stage.caught_up(alerts)
            after = stage.told()[len(before) :]
            await alerts.auto_resolve("web-1", KIND, "stays")
            await raise_alerts(alerts, "lost")
            await stage.caught_up(alerts)
    last = stage.told()[len(before) + len(after) :]
    await stage.server.drop_database("restored_alert")

    assert {
        ("resolved", "lost", True),
        ("raised", "healed-later", True),
        ("raised", "new", True),
    } == set(after)
    assert 3 == len(after)
    assert {("resolved", "stays", False), ("raised", "lost", False)} == set(last)
    assert 2 == len(last)
    assert len(stage.receiver.requests) == len({r.webhook_id for r in stage.receiver.requests})


async def test_after_a_log_that_went_back_without_a_new_epoch_nothing_is_skipped(
    stage: Stage, notify_url: str, alert_database: Database
) -> None:
    async with stage.alerting() as alerts, stage.notifying(notify_url) as notify:
        await stage.caught_up(alerts)
        await create_webhook(notify, stage)
        await raise_alerts(alerts, "stays", "lost", "lost-too")
        await stage.caught_up(alerts)
    async with alert_database.transaction() as connection:
        await connection.execute(GO_BACK, 1)
        await connection.execute("DELETE FROM events WHERE revision > 1")
    before = stage.told()
    async with stage.alerting() as alerts, stage.notifying(notify_url):
        await stage.caught_up(alerts)
        await raise_alerts(alerts, "lost", "new")
        await stage.caught_up(alerts)

    assert sorted(
        [
            ("resolved", "lost", True),
            ("resolved", "lost-too", True),
            ("raised", "lost", False),
            ("raised", "new", False),
        ]
    ) == sorted(stage.told()[len(before) :])


async def test_after_a_compaction_past_notify_the_difference_is_told(
    stage: Stage, notify_url: str, alert_database: Database
) -> None:
    async with stage.alerting() as alerts:
        async with stage.notifying(notify_url) as notify:
            await stage.caught_up(alerts)
            await create_webhook(notify, stage)
            await raise_alerts(alerts, "stays", "heals", "worse")
            await stage.caught_up(alerts)
        await alerts.auto_resolve("web-1", KIND, "heals")
        await alerts.raise_or_touch("web-1", KIND, "worse", severity="critical")
        await raise_alerts(alerts, "new")
        await alerts.raise_or_touch("web-1", KIND, "came and went")
        await alerts.auto_resolve("web-1", KIND, "came and went")
        async with alert_database.connection() as connection:
            await connection.execute(
                "DELETE FROM events WHERE revision < (SELECT max(revision) FROM events)"
            )
        before = stage.told()
        async with stage.notifying(notify_url):
            await stage.caught_up(alerts)

    assert sorted(
        [
            ("resolved", "heals", True),
            ("severity_changed", "worse", True),
            ("raised", "new", True),
        ]
    ) == sorted(stage.told()[len(before) :])
