"""The service is away for three hours, while five hundred deadlines pass."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert import running_alert
from support.clock import START, ManualClock
from support.ledgers import alerts_of, running_ledger
from support.observed import ORCHESTRATOR
from support.waiting import eventually
from tocsin.alert.domain.host import HostSpec
from tocsin.alert.domain.job import JobKind
from tocsin.alert.domain.schedule import Interval, ScheduleSpec
from tocsin.alert.engine.heartbeats import offline_key
from tocsin.alert.engine.stale_schedules import stale_key
from tocsin.alert.ledger.backup_commands import PutHost, PutSchedule
from tocsin.alert.sweep import deadlines
from tocsin.common.errors import TocsinError

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.key import Key
    from tocsin.alert.ledger.backup_commands import BackupCommand
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

OUTAGE = timedelta(hours=3)
SCHEDULES = 400
HOSTS = 100
REPLICAS = 2


async def test_every_deadline_of_a_long_outage_is_raised_once_and_bears_its_own_time(
    alert_url: str, alert_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas start at the same moment, after the last of the deadlines."""
    # So that neither has done it all before the other begins.
    monkeypatch.setattr(deadlines, "_BATCH", 20)
    clock = ManualClock()
    expected = await put_deadlines(alert_database, clock)
    clock.set(START + OUTAGE)

    async def raised() -> list[Alert]:
        # Time goes on, slowly: what is left of a failed look comes up again.
        clock.advance(seconds=0.1)
        alerts = await alerts_of(alert_database)
        return alerts if len(alerts) >= len(expected) else []

    async with AsyncExitStack() as stack:
        await asyncio.gather(
            *(
                stack.enter_async_context(running_alert(alert_url, clock=clock))
                for _ in range(REPLICAS)
            )
        )
        alerts = await eventually(raised, within=60)

    assert expected == {alert.key: alert.raise_time for alert in alerts}
    assert len(expected) == len(alerts)
    assert {1} == {alert.occurrences for alert in alerts}
    async with alert_database.connection() as connection:
        events = await connection.fetchval("SELECT count(*) FROM events")
    assert len(expected) == events


async def put_deadlines(database: Database, clock: ManualClock) -> dict[Key, datetime]:
    """Put what will be missed, and return the deadline of each by its key."""
    expected: dict[Key, datetime] = {}
    commands: list[BackupCommand] = []
    for number in range(SCHEDULES):
        length = timedelta(minutes=30, seconds=20 * number)
        spec = ScheduleSpec(
            schedule_id=f"schedule-{number}",
            host_id=f"scheduled-{number % 50}",
            job_kind=JobKind.BACKUP,
            recurrence=Interval(length),
            grace=timedelta(minutes=6),
        )
        commands.append(PutSchedule(spec, ORCHESTRATOR))
        expected[stale_key(spec)] = START + length + spec.grace
    for number in range(HOSTS):
        silence = timedelta(minutes=15, seconds=90 * number)
        host = HostSpec(f"host-{number}", "", {}, offline_after=silence)
        commands.append(PutHost(host, ORCHESTRATOR))
        expected[offline_key(host.host_id)] = START + silence
    async with running_ledger(database, clock=clock) as ledger:
        results = await ledger.submit_many(commands)
    assert [] == [result for result in results if isinstance(result, TocsinError)]
    assert max(expected.values()) <= START + OUTAGE
    return expected
