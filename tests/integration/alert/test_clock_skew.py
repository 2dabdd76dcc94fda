"""Agents whose clocks are wrong: the same alerts as with true clocks, and the skew is shown."""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from support.ledgers import running_ledger
from support.looks import check_looks
from support.observed import ORCHESTRATOR, at
from support.site import Site
from tocsin.alert.domain.job import JobFinished, JobResult, JobStarted
from tocsin.alert.engine.skew import read_clock
from tocsin.alert.ledger.backup_commands import FinishJob, StartJob
from tocsin.alert.store.hosts import get_host

if TYPE_CHECKING:
    from support.clock import ManualClock
    from support.site import Open
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = 60
# One run a night: when it starts and ends, in minutes, and how. The third does not come; the
# fourth starts and never ends.
NIGHTS: list[tuple[int, int | None, JobResult]] = [
    (2 * HOUR, 2 * HOUR + 20, JobResult.SUCCEEDED),
    (26 * HOUR, 26 * HOUR + 30, JobResult.FAILED),
    (74 * HOUR, None, JobResult.SUCCEEDED),
    (98 * HOUR, 98 * HOUR + 20, JobResult.INCOMPLETE),
    (99 * HOUR, 99 * HOUR + 5, JobResult.FAILED),
]
CLOCKS = {
    "true": [timedelta()],
    "a day ahead": [timedelta(days=1)],
    "an hour behind": [timedelta(hours=-1)],
    "jumps": [timedelta(days=1), timedelta(hours=-3), timedelta(), timedelta(minutes=7)],
}


async def live(site: Site, clock: ManualClock, offsets: list[timedelta]) -> list[set[Open]]:
    """Report the nights as an agent with such a clock does, and return what stood after each."""
    clock.set(at(0))
    await site.put_all()
    seen = []
    wrong = cycle(offsets)
    for number, (start, end, result) in enumerate(NIGHTS):
        job = site.job(f"{number}")
        clock.set(at(start - 1))
        await site.sweep()
        seen.append(await site.open())
        clock.set(at(start))
        offset = next(wrong)
        reading = read_clock(clock.now() + offset, clock.now())
        begun = reading.corrected(at(start) + offset)
        await site.done(StartJob(JobStarted(job, begun), reading, ORCHESTRATOR))
        if end is not None:
            clock.set(at(end))
            reading = read_clock(clock.now() + offset, clock.now())
            began, ended = reading.corrected_run(at(start) + offset, at(end) + offset)
            finished = JobFinished(job, result, ended, start_time=began)
            await site.done(FinishJob(finished, reading, ORCHESTRATOR, b""))
        seen.append(await site.open())
    return seen


@pytest.mark.parametrize("name", CLOCKS)
async def test_a_wrong_clock_gives_the_same_alerts_as_a_true_one(
    alert_database: Database, clock: ManualClock, name: str
) -> None:
    async with running_ledger(alert_database, clock=clock) as ledger:
        expected = await live(Site(ledger, alert_database, clock, "true"), clock, [timedelta()])
        site = Site(ledger, alert_database, clock, "wrong")

        assert expected == await live(site, clock, CLOCKS[name])
        assert {"stale_schedule", "backup_failed"} <= {
            alert.kind for alerts in expected for alert in alerts
        }
        await check_looks(alert_database, clock)


async def test_the_skew_of_the_latest_report_is_shown_on_the_host(
    alert_database: Database, clock: ManualClock
) -> None:
    async with running_ledger(alert_database, clock=clock) as ledger:
        site = Site(ledger, alert_database, clock)
        await site.done(site.put_host(), site.hear(clock.now() + timedelta(hours=5)))
        await site.done(site.hear())

    async with alert_database.connection() as connection:
        host = await get_host(connection, site.host)
    assert host is not None
    assert timedelta(hours=5) == host.signs.skew
