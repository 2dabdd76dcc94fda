"""Everything about backups at once, through two processes with their sweeps: no deadline is lost.

What is reported, put, retired and resolved is drawn at random; deadlines pass in between.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from support.clock import START, ManualClock
from support.ledgers import events_of, running_ledger
from support.looks import check_looks
from support.observed import ANN, ORCHESTRATOR
from support.site import DAILY, DAY, Site
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.host import Profile
from tocsin.alert.domain.job import JobKind, JobResult
from tocsin.alert.domain.schedule import Cron, Interval
from tocsin.alert.ledger.backup_commands import (
    CallOffline,
    MissRun,
    RetireHost,
    RetireSchedule,
    RetireSourceGroup,
    Rise,
    Unsuppress,
)
from tocsin.alert.ledger.commands import Resolve
from tocsin.alert.store.looks import HOST_LOOKS, RISE_LOOKS, SCHEDULE_LOOKS
from tocsin.alert.sweep.parts import Sweeps
from tocsin.alert.sweep.suppressions import SuppressionSweep
from tocsin.common.errors import InvalidArgumentError, NotFoundError
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from tocsin.alert.ledger import Ledger
    from tocsin.alert.ledger.commands import Command
    from tocsin.alert.sweep.deadlines import DeadlineSweep

pytestmark = pytest.mark.postgres

GRACE = timedelta(minutes=10)
ERRORS = ("repository is already locked", "it broke", "dial tcp: i/o timeout")
KINDS = (JobKind.BACKUP, JobKind.BACKUP, JobKind.CHECK)
RESULTS = (JobResult.SUCCEEDED, JobResult.FAILED, JobResult.FAILED, JobResult.CANCELLED)
RECURRENCES = (DAILY, Cron("*/20 * * * *"), Interval(timedelta(hours=2)))

OVERDUE = """
SELECT schedule_id FROM schedules
WHERE retire_time IS NULL AND enabled AND deadline_time <= $1 AND NOT EXISTS (
    SELECT 1 FROM alerts
    WHERE resolve_time IS NULL AND kind = 'stale_schedule' AND dedup_key = schedule_id)
"""
HIDDEN = """
SELECT alerts.alert_id FROM alerts JOIN alerts AS root ON root.alert_id = alerts.suppressed_by
WHERE alerts.resolve_time IS NULL AND root.resolve_time <= $1
"""


def told(random: Random, site: Site) -> Command:
    """Invent a report of now or of days ago."""
    now = (site.clock.now() - START).total_seconds() / 60
    minutes = now - random.choice((0, 1, 30, 400, 2_000, 5_000))
    job = site.job(f"{random.randrange(40)}", random.choice(KINDS))
    if random.random() < 0.3:
        return site.start(job, minutes)
    result = random.choice(RESULTS)
    error = "" if result is JobResult.SUCCEEDED else random.choice(ERRORS)
    return site.finish(job, minutes, result, error=error)


def put(random: Random, site: Site) -> Command:
    longest = random.choice((timedelta(hours=1), DAY))
    return random.choice(
        (
            site.put_host(random.choice(list(Profile)), name=random.choice("ab")),
            site.put_host(offline_after=timedelta(hours=1)),
            site.put_group(random.choice((None, timedelta(hours=3), DAY))),
            site.put_schedule(random.choice(RECURRENCES), max_duration=longest),
            site.put_schedule(enabled=random.random() < 0.5),
        )
    )


def retired(random: Random, site: Site) -> Command:
    return random.choice(
        (
            RetireHost(site.host, ORCHESTRATOR),
            RetireSourceGroup(site.group, ORCHESTRATOR),
            RetireSchedule(site.schedule, ORCHESTRATOR),
        )
    )


async def by_hand(random: Random, site: Site) -> Command:
    """Settle something that stands, but no silence: that is not waited for anew."""
    alerts = [alert for alert in await site.standing() if alert.key.kind != "agent_offline"]
    if not alerts:
        return site.hear()
    alert = random.choice(alerts)
    return random.choice((Resolve(alert.alert_id, "", ANN), Unsuppress(alert.alert_id, GRACE)))


async def some(random: Random, site: Site) -> Command:
    (draw,) = random.choices(range(5), (44, 8, 20, 4, 8))
    match draw:
        case 0:
            return told(random, site)
        case 1:
            return site.hear()
        case 2:
            return put(random, site)
        case 3:
            return retired(random, site)
        case _:
            return await by_hand(random, site)


async def disturb(random: Random, sites: list[Site]) -> None:
    """Submit batches of anything; only what contradicts the registry may be refused."""
    for size in (1, 5, 12):
        commands = [await some(random, random.choice(sites)) for _ in range(size)]
        for result in await sites[0].ledger.submit_many(commands):
            if isinstance(result, Exception):
                assert isinstance(result, InvalidArgumentError | NotFoundError), repr(result)


def sweeps_of(
    database: Database, ledger: Ledger, clock: ManualClock
) -> list[DeadlineSweep | SuppressionSweep]:
    sweeps = Sweeps(database, ledger, clock)
    return [
        sweeps.deadlines(HOST_LOOKS, CallOffline),
        sweeps.deadlines(SCHEDULE_LOOKS, MissRun),
        sweeps.deadlines(RISE_LOOKS, Rise),
        SuppressionSweep(database, ledger, clock, GRACE),
    ]


async def sweep(sweeps: list[DeadlineSweep | SuppressionSweep]) -> None:
    for each in sweeps:
        await each.step()


async def check_told(database: Database, clock: ManualClock) -> None:
    """Nothing overdue is left out, nothing stays hidden, nothing happens before its raise."""
    async with database.connection() as connection:
        assert [] == await connection.fetch(OVERDUE, clock.now())
        assert [] == await connection.fetch(HIDDEN, clock.now() - GRACE)
    for event in await events_of(database):
        if event.type in {EventType.UNSUPPRESSED, EventType.SEVERITY_CHANGED}:
            assert event.occur_time >= event.alert.raise_time


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_all_commands_through_two_processes_loses_no_deadline(
    alert_url: str, alert_database: Database, clock: ManualClock, seed: int
) -> None:
    random = Random(seed)
    async with AsyncExitStack() as stack:
        sites: list[list[Site]] = []
        sweeps = []
        for number, batch in enumerate((7, 50)):
            own = Database(alert_url, application_name=f"process {number}", pool_size=3)
            stack.push_async_callback(own.close)
            ledger = await stack.enter_async_context(
                running_ledger(own, clock=clock, max_batch=batch)
            )
            sites.append([Site(ledger, alert_database, clock, f"host-{n}") for n in range(3)])
            sweeps.append(sweeps_of(own, ledger, clock))
        for _ in range(25):
            await asyncio.gather(
                *(disturb(Random(random.random()), each) for each in sites), *map(sweep, sweeps)
            )
            clock.advance(seconds=random.choice((1, 10, 120, 1_200, 20_000)))
            await check_looks(alert_database, clock)
        for _ in range(6):
            clock.advance(seconds=61)
            for each in sweeps:
                await sweep(each)
        await check_looks(alert_database, clock)
        await check_told(alert_database, clock)
