"""What a spool sends, as the service takes it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.alert import RunningAlert, running_alert
from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.client.backup_requests import report_job_finished
from tocsin.client.backup_sync import SyncBackupClient
from tocsin.client.moments import Moment, this_moment
from tocsin.client.spool import Spool
from tocsin.client.spool_flush import Flushed, flush

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tocsin.api.alert.v1.alert_pb2 import Alert

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)


@pytest.fixture
async def alert(alert_url: str) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url) as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.db")


def failed(job_id: str, group: str = "home", **said: Any) -> Any:
    return report_job_finished(
        job_id, "web-1", "backup", "failed", source_group_id=group, exit_code=1, **said
    )


async def flushed(spool: Spool, alert: RunningAlert) -> Flushed:
    def send() -> Flushed:
        with SyncBackupClient(alert.target) as backups, spool:
            return flush(spool, backups)

    return await asyncio.to_thread(send)


async def alerts_of(alert: RunningAlert) -> list[Alert]:
    return list((await alert.alerts.ListAlerts(alert_service_pb2.ListAlertsRequest())).alerts)


async def test_a_report_that_goes_twice_is_taken_once(alert: RunningAlert, spool: Spool) -> None:
    at = datetime.now(UTC) - HOUR
    for _ in range(2):
        spool.add(failed("j-1", finish_time=at))
    assert Flushed(sent=2, left=0) == await flushed(spool, alert)
    assert [1] == [each.occurrences for each in await alerts_of(alert)]


async def test_what_the_service_refuses_is_set_aside_and_the_rest_arrives(
    alert: RunningAlert, spool: Spool
) -> None:
    await alert.backups.PutSourceGroup(
        backup_service_pb2.PutSourceGroupRequest(source_group_id="database", host_id="db-1")
    )
    spool.add(failed("j-1", "database"))
    spool.add(failed("j-2"))
    done = await flushed(spool, alert)
    assert (1, 0, 1) == (done.sent, done.left, len(done.refused))
    assert "db-1" in done.refused[0]
    assert ["home"] == [each.dedup_key for each in await alerts_of(alert)]


@pytest.mark.parametrize("turned", [timedelta(days=1), -HOUR])
async def test_an_alert_is_raised_when_it_happened_though_the_clock_was_turned_since(
    alert: RunningAlert, spool: Spool, turned: timedelta
) -> None:
    now = this_moment()
    # Taken three hours ago, by a clock that was off by `turned` then and has been set right since.
    spool.clock = lambda: Moment(
        now.wall + turned - 3 * HOUR, max(now.uptime - 3 * HOUR, timedelta(0)), now.boot_id
    )
    age = now.uptime - spool.clock().uptime
    spool.add(failed("j-1"))
    spool.clock = this_moment
    assert 1 == (await flushed(spool, alert)).sent
    (raised,) = await alerts_of(alert)
    expected = now.wall - age
    off = raised.raise_time.ToDatetime(tzinfo=UTC) - expected
    assert abs(off) < timedelta(seconds=30)
