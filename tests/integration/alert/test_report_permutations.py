"""Reports in any order, repeated, in any batches and through two processes, end in one state."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from support.clock import START, ManualClock
from support.ledgers import events_of, running_ledger
from support.looks import check_looks
from support.observed import at
from support.site import DAY, Site
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.job import JobKind, JobResult, Stream
from tocsin.alert.store.jobs import read_jobs
from tocsin.alert.store.schedules import get_schedule
from tocsin.alert.store.streams import read_streams

if TYPE_CHECKING:
    from support.site import Open
    from tocsin.alert.ledger.backup_commands import BackupCommand
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = 60
# When all that happened is told at once: three days and a half after the start.
TOLD = START + timedelta(days=3, hours=12)
KINDS = (JobKind.BACKUP, JobKind.BACKUP, JobKind.CHECK)
RESULTS = (
    JobResult.SUCCEEDED,
    JobResult.SUCCEEDED,
    JobResult.INCOMPLETE,
    JobResult.FAILED,
    JobResult.FAILED,
    JobResult.CANCELLED,
)
ERRORS = ("Fatal: wrong password or no key found", "no space left on device", "it broke")


class Run(NamedTuple):
    """One run of a history: times in minutes; `result` is None when its end is never told."""

    job_id: str
    kind: JobKind
    start: int
    end: int
    result: JobResult | None
    error: str
    is_started: bool


def history(random: Random) -> list[Run]:
    """Invent runs of three and a half days; some times coincide."""
    runs = []
    for number in range(random.randint(4, 9)):
        start = random.choice((2 * HOUR, 7 * HOUR)) + random.randrange(4) * 24 * HOUR
        kind = random.choice(KINDS)
        result = random.choice(RESULTS)
        if result is JobResult.INCOMPLETE and kind is not JobKind.BACKUP:
            result = JobResult.FAILED
        is_ended = random.random() < 0.85
        runs.append(
            Run(
                f"job-{number}",
                kind,
                start,
                start + random.choice((10, 10, 40)),
                result if is_ended else None,
                random.choice(ERRORS) if result is not JobResult.SUCCEEDED else "",
                is_started=not is_ended or random.random() < 0.7,
            )
        )
    return sorted(runs, key=lambda run: run.end)


def reports(site: Site, runs: list[Run]) -> list[BackupCommand]:
    """Return what an agent tells of its runs, in the order in which they happened."""
    told: list[BackupCommand] = []
    for run in runs:
        job = site.job(run.job_id, run.kind)
        if run.is_started:
            told.append(site.start(job, run.start))
        if run.result is not None:
            told.append(site.finish(job, run.end, run.result, start=run.start, error=run.error))
    return told


def shuffled(random: Random, told: list[BackupCommand]) -> list[BackupCommand]:
    again = told + random.choices(told, k=len(told) // 2)
    random.shuffle(again)
    return again


async def tell(random: Random, site: Site, told: list[BackupCommand]) -> None:
    """Report in batches of random sizes."""
    told = list(told)
    while told:
        size = random.randint(1, len(told))
        await site.done(*told[:size])
        del told[:size]


class Known(NamedTuple):
    """Everything that must not depend on the order."""

    open: set[Open]
    streams: list[Any]
    runs: Any
    jobs: dict[str, Any]


async def known(site: Site, job_ids: list[str]) -> Known:
    """Return what is known of a site, with its id left out."""
    streams = [
        Stream(site.host, JobKind.BACKUP, site.group),
        Stream(site.host, JobKind.CHECK, "repo"),
    ]
    async with site.database.connection() as connection:
        states = await read_streams(connection, streams)
        schedule = await get_schedule(connection, site.schedule)
        jobs = await read_jobs(connection, [f"{site.host}/{job_id}" for job_id in job_ids])
    assert schedule is not None
    return Known(
        await site.open(),
        [repr(states.get(stream)).replace(site.host, "") for stream in streams],
        (schedule.runs, schedule.due_time, schedule.deadline_time),
        {
            job_id.removeprefix(site.host): (job.finish_time, job.result, job.cause)
            for job_id, job in jobs.items()
        },
    )


async def prepared(site: Site, clock: ManualClock, *, stands: str) -> None:
    """Put a site at the start; what `stands` names was raised before all is told."""
    clock.set(START)
    await site.put_all()
    await site.done(site.put_host(offline_after=timedelta(hours=1)))
    if stands == "never finished":
        await site.done(site.start(site.job("hung"), HOUR))
        clock.set(at(26 * HOUR))
        await site.sweep()
    elif stands == "missed":
        clock.set(at(3 * HOUR))
        await site.sweep()
    clock.set(TOLD)


@pytest.mark.parametrize("stands", ["nothing", "missed", "never finished"])
@pytest.mark.parametrize("seed", range(6))
async def test_any_order_and_repetition_of_a_history_ends_in_the_same_state(
    alert_database: Database, clock: ManualClock, seed: int, stands: str
) -> None:
    random = Random(f"{seed} {stands}")
    runs = history(random)
    ids = [run.job_id for run in runs]
    async with running_ledger(alert_database, clock=clock) as ledger:
        expected: list[Known] = []
        for number in range(6):
            site = Site(ledger, alert_database, clock, f"host-{number}")
            await prepared(site, clock, stands=stands)
            told = reports(site, runs)
            await tell(random, site, told if number == 0 else shuffled(random, told))
            await check_looks(alert_database, clock)
            before = await known(site, ids)
            await site.sweep()
            await check_looks(alert_database, clock)
            clock.advance(seconds=61)
            await site.sweep()
            expected = expected or [before, await known(site, ids)]
            assert expected == [before, await known(site, ids)]


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_put_before_amid_and_after_its_reports_is_judged_alike(
    alert_database: Database, clock: ManualClock, seed: int
) -> None:
    random = Random(seed)
    runs = history(random)
    ids = [run.job_id for run in runs]
    async with running_ledger(alert_database, clock=clock) as ledger:
        expected: Known | None = None
        for number in range(6):
            site = Site(ledger, alert_database, clock, f"host-{number}")
            clock.set(TOLD)
            told = [
                site.put_host(),
                site.put_group(),
                site.put_schedule(),
                *reports(site, runs),
            ]
            await tell(random, site, told if number == 0 else shuffled(random, told))
            await check_looks(alert_database, clock)
            clock.advance(seconds=61)
            await site.sweep()
            expected = expected or await known(site, ids)
            assert expected == await known(site, ids)


async def test_two_processes_that_are_told_the_same_history_at_once_keep_one_state(
    alert_url: str, alert_database: Database
) -> None:
    clock = ManualClock()
    random = Random(7)
    async with (
        running_ledger(alert_database, clock=clock, max_batch=5) as one,
        running_ledger(alert_database, clock=clock, max_batch=5) as other,
    ):
        for number in range(6):
            runs = history(random)
            ids = [run.job_id for run in runs]
            calm = Site(one, alert_database, clock, f"calm-{number}")
            torn = Site(one, alert_database, clock, f"torn-{number}")
            same = Site(other, alert_database, clock, f"torn-{number}")
            await prepared(calm, clock, stands="missed")
            await prepared(torn, clock, stands="missed")
            await calm.done(*reports(calm, runs))
            told = reports(torn, runs)
            await asyncio.gather(
                *(each.done(*shuffled(random, told)) for each in (torn, same, torn, same))
            )
            await asyncio.gather(torn.sweep(), same.sweep(), calm.sweep())
            assert await known(calm, ids) == await known(torn, ids)
            await check_looks(alert_database, clock)


async def test_an_agent_that_was_away_resolves_on_its_return_what_it_had_done_in_time(
    alert_database: Database, clock: ManualClock
) -> None:
    async with running_ledger(alert_database, clock=clock) as ledger:
        site = Site(ledger, alert_database, clock)
        await prepared(site, clock, stands="missed")
        assert ["agent_offline", "stale_schedule"] == await site.kinds()

        ends = [2 * HOUR + 10 + day * 24 * HOUR for day in range(4)]
        told = [site.finish(site.job(f"{end}"), end) for end in ends]
        await site.done(*reversed(told))

        assert [] == await site.kinds()
        (stale,) = [
            event
            for event in await events_of(alert_database)
            if event.type is EventType.RESOLVED and event.alert.key.kind == "stale_schedule"
        ]
        assert TOLD == stale.occur_time
        assert "A backup finished at 2026-01-04 02:10 UTC." in stale.note
        assert DAY > TOLD - at(ends[-1])
