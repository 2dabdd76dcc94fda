"""One host as the ledger sees it: what is put, what is reported, and what stands in the end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from support.observed import ORCHESTRATOR, at
from tocsin.alert.domain.host import HostSpec, Profile
from tocsin.alert.domain.job import Job, JobFinished, JobKind, JobResult, JobStarted, Summary
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.schedule import Cron, ScheduleSpec
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
    StartJob,
)
from tocsin.alert.store.alerts import COLUMNS, alert_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from support.clock import ManualClock
    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.schedule import Recurrence
    from tocsin.alert.ledger import Ledger
    from tocsin.alert.ledger.backup_commands import BackupCommand, JobFinishAnswer
    from tocsin.common.postgres.engine import Database

DAY = timedelta(days=1)
DAILY = Cron("0 2 * * *")


class Open(NamedTuple):
    """What is to be the same of an alert that stands, however it came to be known."""

    kind: str
    dedup_key: str
    severity: int
    cause: str
    message: str
    last_seen_time: datetime
    objective_multiple: int


@dataclass
class Site:
    """A host with one source group `<host>/data` and one schedule `<host>/nightly`."""

    ledger: Ledger
    database: Database
    clock: ManualClock
    host: str = "host-a"

    @property
    def group(self) -> str:
        return f"{self.host}/data"

    @property
    def schedule(self) -> str:
        return f"{self.host}/nightly"

    def job(
        self,
        job_id: str,
        kind: JobKind = JobKind.BACKUP,
        *,
        repository: str = "repo",
        schedule: str | None = None,
    ) -> Job:
        group = self.group if kind is JobKind.BACKUP else ""
        by = self.schedule if schedule is None else schedule
        return Job(f"{self.host}/{job_id}", self.host, kind, group, repository, by)

    def put_host(
        self,
        profile: Profile = Profile.SERVER,
        offline_after: timedelta | None = None,
        *,
        name: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> PutHost:
        spec = HostSpec(self.host, name, labels or {}, profile, offline_after)
        return PutHost(spec, ORCHESTRATOR)

    def put_group(
        self, objective: timedelta | None = DAY, *, repository: str = "repo"
    ) -> PutSourceGroup:
        spec = SourceGroupSpec(self.group, self.host, repository, "", objective)
        return PutSourceGroup(spec, ORCHESTRATOR)

    def put_schedule(
        self,
        recurrence: Recurrence = DAILY,
        *,
        max_duration: timedelta = DAY,
        enabled: bool = True,
    ) -> PutSchedule:
        spec = ScheduleSpec(
            self.schedule,
            self.host,
            JobKind.BACKUP,
            recurrence,
            source_group_id=self.group,
            max_duration=max_duration,
            enabled=enabled,
        )
        return PutSchedule(spec, ORCHESTRATOR)

    def start(self, job: Job, minutes: float) -> StartJob:
        reading = read_clock(None, self.clock.now())
        return StartJob(JobStarted(job, at(minutes)), reading, ORCHESTRATOR)

    def finish(
        self,
        job: Job,
        minutes: float,
        result: JobResult = JobResult.SUCCEEDED,
        *,
        start: float | None = None,
        error: str = "",
        summary: Summary | None = None,
    ) -> FinishJob:
        finished = JobFinished(
            job,
            result,
            at(minutes),
            start_time=None if start is None else at(start),
            error_text=error,
            summary=summary,
        )
        content = hashlib.sha256(repr((job, result, error, summary)).encode()).digest()
        reading = read_clock(None, self.clock.now())
        return FinishJob(finished, reading, ORCHESTRATOR, content)

    def hear(self, send_time: datetime | None = None) -> Hear:
        return Hear(self.host, read_clock(send_time, self.clock.now()), ORCHESTRATOR)

    async def put_all(self) -> None:
        """Put the host, the source group and the schedule."""
        await self.done(self.put_host(), self.put_group(), self.put_schedule())

    async def done(self, *commands: BackupCommand) -> None:
        """Submit commands at once; none may be refused."""
        for result in await self.ledger.submit_many(commands):
            if isinstance(result, Exception):
                raise result

    async def finished(self, command: FinishJob) -> JobFinishAnswer:
        return await self.ledger.submit(command)

    async def sweep(self) -> None:
        """Decide on every deadline of the host, as if all were due; those of silence first."""
        await self.done(CallOffline(self.host))
        await self.done(MissRun(self.schedule), Rise(self.group))

    async def standing(self) -> list[Alert]:
        """Return the alerts of the host that stand, by their keys."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                f"SELECT {COLUMNS} FROM alerts WHERE resolve_time IS NULL AND host_id = $1"
                " ORDER BY kind, dedup_key",
                self.host,
            )
        return [alert_of(row) for row in rows]

    async def kinds(self) -> list[str]:
        return [alert.key.kind for alert in await self.standing()]

    async def open(self) -> set[Open]:
        """Return what stands, with the host's id left out."""
        return {
            Open(
                alert.key.kind,
                alert.key.dedup_key.removeprefix(self.host),
                alert.severity,
                alert.cause,
                alert.message,
                alert.last_seen_time,
                alert.objective_multiple,
            )
            for alert in await self.standing()
        }

    def key(self, kind: str, dedup_key: str) -> Key:
        return Key(self.host, kind, dedup_key)
