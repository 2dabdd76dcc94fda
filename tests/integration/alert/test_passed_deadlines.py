"""What the sweeps and the ledger make together of deadlines that pass."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.ledgers import alerts_of, events_of, running_ledger
from support.observed import ORCHESTRATOR, at
from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.host import HostSpec
from tocsin.alert.domain.job import Job, JobFinished, JobKind, JobResult
from tocsin.alert.domain.schedule import Cron, Interval, ScheduleSpec
from tocsin.alert.domain.source_group import SourceGroupSpec
from tocsin.alert.engine.skew import read_clock
from tocsin.alert.ledger.backup_commands import (
    CallOffline,
    FinishJob,
    Hear,
    MissRun,
    PutHost,
    PutSchedule,
    PutSourceGroup,
    Rise,
)
from tocsin.alert.store.looks import HOST_LOOKS, RISE_LOOKS, SCHEDULE_LOOKS
from tocsin.alert.sweep.parts import Sweeps
from tocsin.alert.sweep.suppressions import SuppressionSweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from support.clock import ManualClock
    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Event
    from tocsin.alert.domain.schedule import Recurrence
    from tocsin.alert.ledger import Ledger
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOURLY = Interval(timedelta(hours=1))
GRACE = timedelta(minutes=10)


@dataclass
class Ground:
    """A ledger with its sweeps, stepped by hand, and short ways to put and to report."""

    database: Database
    ledger: Ledger
    clock: ManualClock

    def __post_init__(self) -> None:
        sweeps = Sweeps(self.database, self.ledger, self.clock)
        self.hosts = sweeps.deadlines(HOST_LOOKS, CallOffline)
        self.schedules = sweeps.deadlines(SCHEDULE_LOOKS, MissRun)
        self.dangers = sweeps.deadlines(RISE_LOOKS, Rise)
        self.suppressions = SuppressionSweep(self.database, self.ledger, self.clock, GRACE)

    async def sweep(self, minutes: float) -> None:
        """Let every sweep look once, so many minutes after the start."""
        self.clock.set(at(minutes))
        for each in (self.hosts, self.schedules, self.dangers, self.suppressions):
            await each.step()

    async def put_host(self, host_id: str = "host", offline_after: timedelta | None = None) -> None:
        spec = HostSpec(host_id, "", {}, offline_after=offline_after)
        await self.ledger.submit(PutHost(spec, ORCHESTRATOR))

    async def put_group(self, objective: timedelta | None = None) -> None:
        spec = SourceGroupSpec("group", "host", "repository", objective=objective)
        await self.ledger.submit(PutSourceGroup(spec, ORCHESTRATOR))

    async def put_schedule(
        self,
        schedule_id: str = "hourly",
        *,
        recurrence: Recurrence = HOURLY,
        group: str = "",
    ) -> None:
        spec = ScheduleSpec(
            schedule_id, "host", JobKind.BACKUP, recurrence, group, grace=timedelta(minutes=15)
        )
        await self.ledger.submit(PutSchedule(spec, ORCHESTRATOR))

    async def finish(
        self,
        minutes: float,
        result: JobResult = JobResult.SUCCEEDED,
        *,
        group: str = "",
        schedule: str = "",
    ) -> None:
        """Report a run that ended so many minutes after the start, at that moment."""
        self.clock.set(at(minutes))
        job = Job(f"job-{minutes}", "host", JobKind.BACKUP, group, "repository", schedule)
        ended = JobFinished(job, result, at(minutes), at(minutes - 1), exit_code=0)
        reading = read_clock(at(minutes), at(minutes))
        await self.ledger.submit(FinishJob(ended, reading, ORCHESTRATOR, b""))

    async def hear(self, minutes: float) -> None:
        self.clock.set(at(minutes))
        await self.ledger.submit(Hear("host", read_clock(None, at(minutes)), ORCHESTRATOR))

    async def alert(self, kind: str, of: str = "") -> Alert:
        (alert,) = [
            each
            for each in await alerts_of(self.database)
            if (kind, of) == (each.key.kind, each.key.dedup_key)
        ]
        return alert

    async def events(self, kind: str) -> list[Event]:
        return [each for each in await events_of(self.database) if kind == each.alert.key.kind]

    async def look_time(self, schedule_id: str) -> datetime | None:
        async with self.database.connection() as connection:
            time: datetime | None = await connection.fetchval(
                "SELECT look_time FROM schedules WHERE schedule_id = $1", schedule_id
            )
        return time


@pytest.fixture
async def ground(alert_database: Database, clock: ManualClock) -> AsyncIterator[Ground]:
    async with running_ledger(alert_database, clock=clock) as ledger:
        yield Ground(alert_database, ledger, clock)


async def test_a_run_that_did_not_come_is_raised_at_its_deadline_however_late_the_sweep(
    ground: Ground,
) -> None:
    await ground.put_schedule()

    await ground.sweep(74.9)
    assert [] == await alerts_of(ground.database)
    await ground.sweep(300)

    alert = await ground.alert("stale_schedule", "hourly")
    assert (Status.OPEN, at(75)) == (alert.status, alert.raise_time)


async def test_a_schedule_that_is_stale_is_not_looked_at_until_a_run_comes(ground: Ground) -> None:
    await ground.put_schedule()
    await ground.sweep(75)
    assert await ground.look_time("hourly") is None
    await ground.sweep(600)
    assert 1 == (await ground.alert("stale_schedule", "hourly")).occurrences

    await ground.finish(601, schedule="hourly")

    assert Status.RESOLVED == (await ground.alert("stale_schedule", "hourly")).status
    assert at(676) == await ground.look_time("hourly")


async def test_a_sweep_that_looks_too_early_moves_the_look_on_and_raises_nothing(
    ground: Ground,
) -> None:
    """A report leaves the time to look where it is: only the deadline has moved."""
    await ground.put_schedule()
    await ground.finish(59, schedule="hourly")
    assert at(75) == await ground.look_time("hourly")

    await ground.sweep(75)

    assert [] == await alerts_of(ground.database)
    assert at(59 + 75) == await ground.look_time("hourly")


async def test_two_sweeps_of_two_servers_raise_every_alert_once(
    ground: Ground, clock: ManualClock
) -> None:
    for number in range(20):
        await ground.put_schedule(f"schedule-{number}")
    clock.set(at(75))

    async with running_ledger(ground.database, clock=clock) as other:
        twin = Ground(ground.database, other, clock)
        await asyncio.gather(ground.schedules.step(), twin.schedules.step())

    events = await events_of(ground.database)
    assert [EventType.RAISED] * 20 == [event.type for event in events]
    assert 20 == len({event.alert.key for event in events})


async def test_a_schedule_that_cannot_be_computed_is_put_off_by_an_hour_and_blocks_no_other(
    ground: Ground,
) -> None:
    """The zone was known when it was put, say."""
    await ground.put_schedule("good")
    await ground.put_schedule("broken", recurrence=Cron("0 * * * *"))
    async with ground.database.connection() as connection:
        await connection.execute(
            "UPDATE schedules SET time_zone = 'Mars/Olympus' WHERE schedule_id = 'broken'"
        )

    await ground.sweep(80)

    assert ["good"] == [alert.key.dedup_key for alert in await alerts_of(ground.database)]
    assert 1 == ground.schedules.blocked
    assert at(140) == await ground.look_time("broken")


async def test_a_silent_host_is_raised_at_its_deadline_and_explains_the_runs_that_did_not_come(
    ground: Ground,
) -> None:
    """Both deadlines passed while nobody looked: the host's stands first."""
    await ground.put_host(offline_after=timedelta(hours=2))
    await ground.put_schedule()

    for _ in range(2):
        await ground.sweep(180)

    offline = await ground.alert("agent_offline")
    stale = await ground.alert("stale_schedule", "hourly")
    assert [at(120), at(75)] == [offline.raise_time, stale.raise_time]
    assert offline.alert_id == stale.suppressed_by


async def test_what_is_still_wrong_when_its_root_has_healed_comes_out_after_the_grace(
    ground: Ground,
) -> None:
    await ground.put_host(offline_after=timedelta(hours=1))
    await ground.put_schedule()
    await ground.sweep(60)
    await ground.sweep(75)
    assert (await ground.alert("stale_schedule", "hourly")).suppressed_by is not None

    await ground.hear(90)
    await ground.sweep(99.9)
    assert (await ground.alert("stale_schedule", "hourly")).suppressed_by is not None
    await ground.sweep(110)

    assert (await ground.alert("stale_schedule", "hourly")).suppressed_by is None
    event = (await ground.events("stale_schedule"))[-1]
    assert (EventType.UNSUPPRESSED, at(100)) == (event.type, event.occur_time)
    await ground.sweep(120)
    assert 2 == len(await ground.events("stale_schedule"))


async def test_an_alert_rises_once_as_its_last_good_backup_passes_each_multiple(
    ground: Ground,
) -> None:
    await ground.put_group(objective=timedelta(hours=1))
    await ground.finish(10, group="group")
    await ground.finish(20, JobResult.FAILED, group="group")

    for minutes in (69, 70, 71, 130, 200, 250, 251, 900):
        await ground.sweep(minutes)

    alert = await ground.alert("backup_failed", "group")
    assert (Severity.CRITICAL, 4) == (alert.severity, alert.objective_multiple)
    raised, *risen = await ground.events("backup_failed")
    assert (EventType.RAISED, Severity.WARNING) == (raised.type, raised.alert.severity)
    assert [
        (EventType.SEVERITY_CHANGED, 1, at(70)),
        (EventType.SEVERITY_CHANGED, 2, at(130)),
        (EventType.SEVERITY_CHANGED, 4, at(250)),
    ] == [(event.type, event.alert.objective_multiple, event.occur_time) for event in risen]


async def test_after_an_outage_only_the_highest_multiple_that_was_passed_is_told(
    ground: Ground,
) -> None:
    await ground.put_group(objective=timedelta(hours=1))
    await ground.finish(10, group="group")
    await ground.finish(20, JobResult.FAILED, group="group")

    await ground.sweep(200)

    (_, risen) = await ground.events("backup_failed")
    assert (2, at(130)) == (risen.alert.objective_multiple, risen.occur_time)
