"""The clients and the subscription against the alert service itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from support.alert import running_alert
from tocsin.alert.eventlog import identity
from tocsin.api.alert.v1.alert_pb2 import ALERT_STATUS_ACKNOWLEDGED, ALERT_STATUS_RESOLVED
from tocsin.api.alert.v1.alert_service_pb2 import CLEAR_OUTCOME_RESOLVED, RAISE_OUTCOME_RAISED
from tocsin.api.alert.v1.event_pb2 import AlertEventType
from tocsin.client import (
    AlertClient,
    BackupClient,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    RetryPolicy,
    SyncAlertClient,
    requests,
)
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.alert import RunningAlert
    from tocsin.client import EventSubscription, StreamBatch
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

IMPATIENT = RetryPolicy(
    first_wait=timedelta(milliseconds=10), longest_wait=timedelta(milliseconds=100)
)


@pytest.fixture
async def service(alert_url: str) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url) as running:
        yield running


@pytest.fixture
async def alerts(service: RunningAlert) -> AsyncIterator[AlertClient]:
    async with AlertClient(service.target) as client:
        yield client


@asynccontextmanager
async def subscribed(
    alerts: AlertClient, before: EventSubscription | None = None
) -> AsyncIterator[EventSubscription]:
    """Begin with the oldest event, or where another subscription stopped."""
    async with (
        asyncio.timeout(30),
        alerts.subscribe(
            after=before.position if before else None,
            known=before.known.values() if before else (),
            on_first="oldest",
            retry=IMPATIENT,
        ) as subscription,
    ):
        yield subscription


async def events(subscription: EventSubscription, count: int) -> list[tuple[str, str, bool]]:
    """Read so many events: what happened, to which key, and whether it is synthetic."""
    found: list[tuple[str, str, bool]] = []
    while len(found) < count:
        found += _told(await anext(subscription))
    return found


def _told(batch: StreamBatch) -> list[tuple[str, str, bool]]:
    return [
        (
            AlertEventType.Name(each.event.type).removeprefix("ALERT_EVENT_TYPE_"),
            each.event.alert.dedup_key,
            each.synthetic,
        )
        for each in batch.events
    ]


async def test_an_alert_lives_its_life_through_the_client(alerts: AlertClient) -> None:
    raised = await alerts.raise_or_touch("web-1", "backup_failed", "home", severity="warning")
    assert raised.outcome == RAISE_OUTCOME_RAISED
    alert_id = raised.alert.alert_id
    assert [each.alert_id async for each in alerts.list_alerts()] == [alert_id]

    acknowledged = await alerts.acknowledge(alert_id, note="on it", on_behalf_of="ann")
    assert acknowledged.changed
    assert (await alerts.get_alert(alert_id)).status == ALERT_STATUS_ACKNOWLEDGED

    cleared = await alerts.auto_resolve("web-1", "backup_failed", "home")
    assert cleared.outcome == CLEAR_OUTCOME_RESOLVED
    assert cleared.alert.status == ALERT_STATUS_RESOLVED
    assert not (await alerts.resolve(alert_id)).changed
    timeline = [each.type async for each in alerts.list_alert_events(alert_id, page_size=1)]
    assert timeline == [1, 4, 6]


async def test_the_blocking_client_speaks_to_the_same_service(
    service: RunningAlert, alerts: AlertClient
) -> None:
    def report() -> list[str]:
        with SyncAlertClient(service.target) as blocking:
            for key in ("home", "var"):
                blocking.raise_or_touch("web-1", "backup_failed", key)
            return [each.dedup_key for each in blocking.list_alerts(page_size=1)]

    assert set(await asyncio.to_thread(report)) == {"home", "var"}


async def test_a_batch_is_answered_item_by_item(alerts: AlertClient) -> None:
    good = requests.raise_or_touch("web-1", "backup_failed")
    bad = requests.raise_or_touch("", "Bad Kind")

    answer = await alerts.batch_raise_or_touch([good, bad])

    assert [each.WhichOneof("result") for each in answer.results] == ["response", "error"]


async def test_a_request_that_is_sent_again_gets_the_first_answer(alerts: AlertClient) -> None:
    first = await alerts.raise_or_touch("web-1", "backup_failed", request_id="r-1")
    again = await alerts.raise_or_touch("web-1", "backup_failed", request_id="r-1")

    assert (first.replayed, again.replayed) == (False, True)
    assert again.alert.occurrences == 1


async def test_hosts_are_kept_by_the_registry(service: RunningAlert) -> None:
    async with BackupClient(service.target) as backups:
        for number in range(3):
            await backups.put_host(f"web-{number}", name=f"Web {number}")
        assert (await backups.get_host("web-1")).name == "Web 1"
        found = [each.host_id async for each in backups.list_hosts(page_size=2)]
        assert found == ["web-0", "web-1", "web-2"]


async def test_what_the_service_refuses_is_told_with_its_reason(alerts: AlertClient) -> None:
    with pytest.raises(InvalidArgumentError) as wrong:
        await alerts.raise_or_touch("", "Bad Kind")
    assert {each.field for each in wrong.value.field_violations} == {"host_id", "kind"}

    with pytest.raises(NotFoundError) as missing:
        await alerts.get_alert(uuid4())
    assert missing.value.reason == "ALERT_NOT_FOUND"

    raised = await alerts.raise_or_touch("web-1", "backup_failed")
    await alerts.resolve(raised.alert.alert_id)
    with pytest.raises(FailedPreconditionError) as late:
        await alerts.acknowledge(raised.alert.alert_id)
    assert late.value.reason == "ALERT_RESOLVED"


async def test_a_subscription_goes_on_over_a_restart_of_the_service(alert_url: str) -> None:
    async with running_alert(alert_url) as first, AlertClient(first.target) as alerts:
        port = first.app.port
        async with subscribed(alerts) as subscription:
            await alerts.raise_or_touch("web-1", "backup_failed", "home")
            assert await events(subscription, 1) == [("RAISED", "home", False)]

            await first.app.stop()
            async with running_alert(alert_url, listen=f"127.0.0.1:{port}"):
                await alerts.raise_or_touch("web-1", "backup_failed", "var")
                await alerts.auto_resolve("web-1", "backup_failed", "home")
                assert await events(subscription, 2) == [
                    ("RAISED", "var", False),
                    ("RESOLVED", "home", False),
                ]


async def test_a_fresh_subscription_learns_what_is_open_and_hears_what_follows(
    alerts: AlertClient,
) -> None:
    await alerts.raise_or_touch("web-1", "backup_failed", "home")
    async with asyncio.timeout(30), alerts.subscribe(on_first="snapshot_known") as subscription:
        first = await anext(subscription)
        assert [each.dedup_key for each in first.snapshot] == ["home"]
        await alerts.auto_resolve("web-1", "backup_failed", "home")
        assert await events(subscription, 1) == [("RESOLVED", "home", False)]


async def test_after_compaction_the_difference_is_told(
    alerts: AlertClient, alert_database: Database
) -> None:
    async with subscribed(alerts) as before:
        for key in ("home", "var"):
            await alerts.raise_or_touch("web-1", "backup_failed", key)
        await events(before, 2)

    await alerts.auto_resolve("web-1", "backup_failed", "home")
    await alerts.raise_or_touch("web-1", "backup_failed", "var", severity="critical")
    await alerts.raise_or_touch("web-1", "backup_failed", "srv")
    await _compact(alert_database)

    async with subscribed(alerts, before) as subscription:
        assert await events(subscription, 3) == [
            ("RESOLVED", "home", True),
            ("SEVERITY_CHANGED", "var", True),
            ("RAISED", "srv", True),
        ]
        await alerts.auto_resolve("web-1", "backup_failed", "srv")
        assert await events(subscription, 1) == [("RESOLVED", "srv", False)]


async def test_after_a_restore_what_was_lost_is_told_as_over(
    alerts: AlertClient, alert_database: Database
) -> None:
    async with subscribed(alerts) as subscription:
        for key in ("home", "var"):
            await alerts.raise_or_touch("web-1", "backup_failed", key)
        await events(subscription, 2)

        await _restore_to_before(alert_database, "var")
        assert await events(subscription, 1) == [("RESOLVED", "var", True)]

        await alerts.raise_or_touch("web-1", "backup_failed", "var")
        assert await events(subscription, 1) == [("RAISED", "var", False)]


async def _compact(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "DELETE FROM events WHERE revision < (SELECT max(revision) FROM events)"
        )


async def _restore_to_before(database: Database, dedup_key: str) -> None:
    """Forget an alert and all that the log has of it, as a restored backup does."""
    async with database.transaction() as connection:
        for table, condition in (
            ("events", "alert_id IN (SELECT alert_id FROM alerts WHERE dedup_key = $1)"),
            ("alerts", "dedup_key = $1"),
            ("alert_keys", "dedup_key = $1"),
        ):
            await connection.execute(f"DELETE FROM {table} WHERE {condition}", dedup_key)
    await identity.renew(database, uuid7)
