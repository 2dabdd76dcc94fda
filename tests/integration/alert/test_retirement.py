"""What retiring ends, what it leaves alone, and what comes after it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.ledgers import events_of, raising, running_ledger
from support.locks import waits_for_a_lock
from support.looks import check_looks
from support.observed import ORCHESTRATOR, at, failure
from support.site import Site
from tocsin.alert.domain.alert import ResolveReason
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.job import JobKind, JobResult
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.schedule import Runs, Schedule
from tocsin.alert.ledger.backup_commands import (
    MissRun,
    RetireHost,
    RetireSchedule,
    RetireSourceGroup,
    Rise,
)
from tocsin.alert.store.hosts import list_hosts
from tocsin.alert.store.keys import lock_keys
from tocsin.alert.store.schedules import StoredSchedule, list_schedules, write_schedules
from tocsin.alert.store.source_groups import list_source_groups
from tocsin.common.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = 60
FAILED = JobResult.FAILED


@pytest.fixture
async def site(alert_database: Database, clock: ManualClock) -> AsyncIterator[Site]:
    """A site where all that can stand does, at 12 h."""
    async with running_ledger(alert_database, clock=clock) as ledger:
        site = Site(ledger, alert_database, clock)
        await site.put_all()
        await site.done(site.put_host(offline_after=timedelta(hours=3)))
        clock.set(at(3 * HOUR))
        await site.sweep()
        await site.done(
            site.finish(site.job("1", schedule=""), 170, FAILED),
            site.finish(site.job("2", schedule=""), 171, JobResult.INCOMPLETE),
            site.finish(site.job("3", JobKind.CHECK), 172, FAILED),
        )
        clock.set(at(12 * HOUR))
        await site.sweep()
        yield site
        await check_looks(alert_database, clock)


ALL = ["agent_offline", "backup_failed", "backup_incomplete", "check_failed", "stale_schedule"]


async def retired(site: Site, command: Any) -> int:
    """Retire, and return how many alerts were resolved; the events must tell so."""
    before = len(await events_of(site.database))
    answer = await site.ledger.submit(command)
    told = (await events_of(site.database))[before:]
    for event in told:
        assert EventType.RESOLVED is event.type
        assert event.alert.resolution is not None
        assert ResolveReason.RETIRED is event.alert.resolution.reason
    assert answer.resolved_count == len(told)
    assert site.clock.now() == answer.thing.retire_time
    return len(told)


async def test_a_retired_schedule_takes_its_silence_with_it(site: Site) -> None:
    assert ALL == await site.kinds()

    assert 1 == await retired(site, RetireSchedule(site.schedule, ORCHESTRATOR))

    assert ALL[:4] == await site.kinds()
    site.clock.set(at(100 * HOUR))
    await site.sweep()
    assert "stale_schedule" not in await site.kinds()


async def test_a_retired_source_group_takes_its_schedules_and_its_alerts_with_it(
    site: Site,
) -> None:
    assert 3 == await retired(site, RetireSourceGroup(site.group, ORCHESTRATOR))

    assert ["agent_offline", "check_failed"] == await site.kinds()
    async with site.database.connection() as connection:
        assert [] == await list_source_groups(connection, "", 10)
        assert [] == await list_schedules(connection, "", 10)
        (schedule,) = await list_schedules(connection, "", 10, include_retired=True)
    assert (None, None) == (schedule.due_time, schedule.deadline_time)


async def test_a_retired_host_takes_all_that_stands_for_it_with_it(site: Site) -> None:
    await site.ledger.submit(raising(failure(0, key=Key(site.host, "disk_full", "sda"))))
    other = Site(site.ledger, site.database, site.clock, "host-b")
    await other.done(other.finish(other.job("1"), HOUR, FAILED))

    assert 6 == await retired(site, RetireHost(site.host, ORCHESTRATOR))

    assert [] == await site.kinds()
    assert ["backup_failed"] == await other.kinds()
    async with site.database.connection() as connection:
        assert [] == await list_hosts(connection, "", 10)
        assert [] == await list_source_groups(connection, "", 10)
        assert [] == await list_schedules(connection, "", 10)
        assert 1 == len(await list_hosts(connection, "", 10, include_retired=True))


@pytest.mark.parametrize("what", ["host", "group", "schedule"])
async def test_retiring_twice_changes_nothing(site: Site, what: str) -> None:
    command: Any = {
        "host": RetireHost(site.host, ORCHESTRATOR),
        "group": RetireSourceGroup(site.group, ORCHESTRATOR),
        "schedule": RetireSchedule(site.schedule, ORCHESTRATOR),
    }[what]
    first = await site.ledger.submit(command)
    site.clock.advance(seconds=60)

    again = await site.ledger.submit(command)

    assert (first.thing, 0) == (again.thing, again.resolved_count)


async def test_what_was_never_put_is_not_found(site: Site) -> None:
    for command, reason in (
        (RetireHost("x", ORCHESTRATOR), "HOST_NOT_FOUND"),
        (RetireSourceGroup("x", ORCHESTRATOR), "SOURCE_GROUP_NOT_FOUND"),
        (RetireSchedule("x", ORCHESTRATOR), "SCHEDULE_NOT_FOUND"),
    ):
        command_: Any = command
        with pytest.raises(NotFoundError, match=r"There is no .* 'x'") as caught:
            await site.ledger.submit(command_)
        assert reason == caught.value.reason


async def test_late_reports_of_what_is_retired_are_remembered_and_raise_nothing(
    site: Site,
) -> None:
    await site.done(RetireHost(site.host, ORCHESTRATOR))
    late = site.finish(site.job("9"), 11 * HOUR, FAILED)

    assert () == (await site.finished(late)).alerts

    await site.sweep()
    assert [] == await site.kinds()
    assert (await site.finished(late)).replayed


async def test_what_is_put_again_is_watched_anew(site: Site) -> None:
    await site.done(RetireHost(site.host, ORCHESTRATOR))
    site.clock.set(at(20 * HOUR))
    await site.put_all()
    await site.sweep()

    assert [] == await site.kinds()
    async with site.database.connection() as connection:
        (host,) = await list_hosts(connection, "", 10)
        (schedule,) = await list_schedules(connection, "", 10)
    assert (at(20 * HOUR), None) == (host.create_time, host.retire_time)
    assert (at(20 * HOUR), at(26 * HOUR)) == (schedule.runs.anchor_time, schedule.due_time)
    await site.done(site.finish(site.job("9"), 19 * HOUR, FAILED))
    assert ["backup_failed"] == await site.kinds()


async def test_a_put_and_its_retirement_in_one_batch_leave_it_retired(site: Site) -> None:
    other = Site(site.ledger, site.database, site.clock, "host-b")
    await other.done(
        other.put_host(),
        other.put_group(),
        other.put_schedule(),
        other.finish(other.job("1"), 11 * HOUR, FAILED),
        RetireSchedule(other.schedule, ORCHESTRATOR),
        RetireSourceGroup(other.group, ORCHESTRATOR),
        RetireHost(other.host, ORCHESTRATOR),
    )

    assert [] == await other.kinds()
    async with site.database.connection() as connection:
        assert [] == await list_schedules(connection, "", 10, host_id=other.host)


@pytest.mark.parametrize("what", ["host", "group"])
async def test_no_alert_survives_a_retirement_that_races_with_reports_and_deadlines(
    alert_database: Database, clock: ManualClock, what: str
) -> None:
    async with (
        running_ledger(alert_database, clock=clock, max_batch=3) as one,
        running_ledger(alert_database, clock=clock, max_batch=3) as other,
    ):
        for number in range(12):
            host = f"host-{number}"
            clock.set(at(0))
            site, same = (Site(each, alert_database, clock, host) for each in (one, other))
            await site.put_all()
            clock.set(at(5 * HOUR))
            command: Any = RetireHost(host, ORCHESTRATOR)
            if what == "group":
                command = RetireSourceGroup(site.group, ORCHESTRATOR)
            reports = [same.finish(same.job(f"{each}"), each, FAILED) for each in range(6)]
            await asyncio.gather(
                same.done(*reports[:3]),
                same.sweep(),
                site.done(command),
                same.done(*reports[3:]),
                site.sweep(),
            )
            assert [] == await site.kinds()
            await check_looks(alert_database, clock)


@pytest.mark.parametrize("what", ["retire", "rise"])
async def test_a_schedule_put_while_its_source_group_waits_for_the_lock_is_not_overlooked(
    site: Site, what: str
) -> None:
    other = Site(site.ledger, site.database, site.clock, "host-b")
    spec = other.put_schedule().spec
    schedule = Schedule(spec, at(0), at(0), Runs(at(0)))
    await other.done(other.put_host(), other.put_group())
    command: Any = Rise(other.group)
    if what == "retire":
        command = RetireSourceGroup(other.group, ORCHESTRATOR)

    async with site.database.transaction() as connection:
        await lock_keys(connection, [Key(other.host, "agent_offline", "")])
        waiting = asyncio.create_task(other.done(command))
        await waits_for_a_lock(site.database)
        stored = StoredSchedule(schedule, at(0))
        await write_schedules(connection, {other.schedule: stored})
    await waiting

    await other.done(MissRun(other.schedule))
    expected = ["stale_schedule"] if what == "rise" else []
    assert expected == await other.kinds()
