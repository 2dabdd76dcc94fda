from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.ledgers import count_rows, running_ledger
from support.observed import ORCHESTRATOR
from tocsin.alert.domain.job import Job, JobFinished, JobKind, JobResult, JobStarted
from tocsin.alert.engine.skew import read_clock
from tocsin.alert.ledger.backup_commands import FinishJob, StartJob
from tocsin.alert.sweep import jobs
from tocsin.alert.sweep.jobs import JobSweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from support.clock import ManualClock
    from tocsin.alert.ledger import Ledger
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

RETENTION = timedelta(days=90)


@pytest.fixture
async def ledger(alert_database: Database, clock: ManualClock) -> AsyncIterator[Ledger]:
    async with running_ledger(alert_database, clock=clock) as running:
        yield running


def job(job_id: str) -> Job:
    return Job(job_id, "host", JobKind.BACKUP, "group")


def started(job_id: str, now: datetime) -> StartJob:
    return StartJob(JobStarted(job(job_id), now), read_clock(None, now), ORCHESTRATOR)


def finished(job_id: str, now: datetime) -> FinishJob:
    ended = JobFinished(job(job_id), JobResult.SUCCEEDED, now)
    return FinishJob(ended, read_clock(None, now), ORCHESTRATOR, b"")


async def test_jobs_are_forgotten_so_long_after_their_last_report_in_batches(
    alert_database: Database, ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_BATCH", 2)
    for number in range(3):
        await ledger.submit(finished(f"old-{number}", clock.now()))
    clock.advance(RETENTION + timedelta(microseconds=1))
    await ledger.submit(finished("new", clock.now()))
    sweep = JobSweep(alert_database, clock, RETENTION)

    assert [jobs.BREATH, jobs.REST] == [await sweep.step(), await sweep.step()]

    assert 1 == await count_rows(alert_database, "jobs")
    assert (await ledger.submit(finished("new", clock.now()))).replayed


async def test_a_job_that_began_long_ago_and_ended_lately_is_kept(
    alert_database: Database, ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.submit(started("long", clock.now()))
    clock.advance(RETENTION)
    await ledger.submit(finished("long", clock.now()))
    clock.advance(timedelta(minutes=1))

    await JobSweep(alert_database, clock, RETENTION).step()

    assert 1 == await count_rows(alert_database, "jobs")


async def test_what_a_stream_remembers_outlives_its_jobs(
    alert_database: Database, ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.submit(finished("good", clock.now()))
    clock.advance(RETENTION + timedelta(minutes=1))

    await JobSweep(alert_database, clock, RETENTION).step()

    assert [0, 1] == [
        await count_rows(alert_database, "jobs"),
        await count_rows(alert_database, "job_streams"),
    ]
