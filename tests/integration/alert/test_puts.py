"""What puts do: watched anew, watched on, or refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.ledgers import events_of, running_ledger
from support.looks import check_looks
from support.observed import ORCHESTRATOR, at
from support.site import DAILY, DAY, Site
from tocsin.alert.domain.alert import ResolveReason
from tocsin.alert.domain.host import Profile
from tocsin.alert.domain.job import JobKind, JobResult
from tocsin.alert.domain.schedule import Cron, Interval, ScheduleSpec
from tocsin.alert.domain.source_group import SourceGroupSpec
from tocsin.alert.ledger.backup_commands import (
    PutSchedule,
    PutSourceGroup,
    RetireHost,
    RetireSourceGroup,
)
from tocsin.alert.store.hosts import get_host, list_hosts
from tocsin.alert.store.schedules import get_schedule, list_schedules
from tocsin.alert.store.source_groups import get_source_group, list_source_groups
from tocsin.common.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = 60


@pytest.fixture
async def site(alert_database: Database, clock: ManualClock) -> AsyncIterator[Site]:
    async with running_ledger(alert_database, clock=clock) as ledger:
        yield Site(ledger, alert_database, clock)
        await check_looks(alert_database, clock)


async def violations(site: Site, command: Any) -> dict[str, str]:
    with pytest.raises(InvalidArgumentError) as caught:
        await site.ledger.submit(command)
    return {each.field: each.description for each in caught.value.violations}


async def test_what_was_put_is_read_as_it_was_answered(site: Site) -> None:
    labels = {"site": "attic"}
    host = await site.ledger.submit(site.put_host(Profile.LAPTOP, name="N", labels=labels))
    group = await site.ledger.submit(site.put_group())
    schedules = [
        await site.ledger.submit(site.put_schedule(times))
        for times in (Cron("0 2 * * *", "Europe/Berlin"), Interval(DAY))
    ]

    async with site.database.connection() as connection:
        assert host.thing == await get_host(connection, site.host)
        assert group.thing == await get_source_group(connection, site.group)
        assert schedules[-1].thing == await get_schedule(connection, site.schedule)
        assert [host.thing] == await list_hosts(connection, "", 10)
        assert [group.thing] == await list_source_groups(connection, "", 10, host_id=site.host)
        assert [] == await list_source_groups(connection, site.group, 10)
        assert [schedules[-1].thing] == await list_schedules(connection, "", 10)
        assert [] == await list_schedules(connection, "", 10, host_id="host-b")


async def test_putting_the_same_again_changes_nothing(site: Site) -> None:
    commands: list[Any] = [site.put_host(), site.put_group(), site.put_schedule()]
    first = [(await site.ledger.submit(command)).thing for command in commands]
    site.clock.advance(seconds=60)

    assert first == [(await site.ledger.submit(command)).thing for command in commands]


async def test_a_schedule_put_after_its_reports_knows_of_its_runs(site: Site) -> None:
    await site.done(
        site.finish(site.job("1"), -300),
        site.finish(site.job("2"), -200, JobResult.CANCELLED),
        site.start(site.job("3"), -250),
        site.start(site.job("4"), -400),
        site.start(site.job("5", schedule="other"), -500),
    )

    schedule = (await site.ledger.submit(site.put_schedule())).thing

    runs = schedule.runs
    assert (at(0), at(-300), at(-250)) == (
        runs.anchor_time,
        runs.last_finish_time,
        runs.unfinished_start_time,
    )


async def test_runs_due_before_a_schedule_was_put_are_not_asked_for(site: Site) -> None:
    site.clock.set(at(3 * HOUR))
    await site.put_all()
    await site.sweep()

    assert [] == await site.kinds()


@pytest.mark.parametrize("change", ["times", "max_duration"])
async def test_a_change_of_what_is_expected_begins_a_stale_schedule_anew(
    site: Site, change: str
) -> None:
    await site.put_all()
    site.clock.set(at(3 * HOUR))
    await site.sweep()

    times = Cron("0 4 * * *") if change == "times" else Cron("0 2 * * *")
    longest = 2 * DAY if change == "max_duration" else DAY
    await site.done(site.put_schedule(times, max_duration=longest))
    await site.sweep()

    assert [] == await site.kinds()
    last = (await events_of(site.database))[-1]
    assert last.alert.resolution is not None
    assert (ResolveReason.AUTO, at(3 * HOUR)) == (
        last.alert.resolution.reason,
        last.alert.resolution.time,
    )
    site.clock.set(at(29 * HOUR))
    await site.sweep()
    assert ["stale_schedule"] == await site.kinds()


async def test_switching_a_schedule_off_retires_its_alert_and_on_begins_it_anew(
    site: Site,
) -> None:
    await site.put_all()
    site.clock.set(at(3 * HOUR))
    await site.sweep()

    await site.done(site.put_schedule(enabled=False))
    last = (await events_of(site.database))[-1]
    assert last.alert.resolution is not None
    assert ResolveReason.RETIRED is last.alert.resolution.reason
    site.clock.set(at(30 * HOUR))
    await site.sweep()
    await site.done(site.put_schedule())
    await site.sweep()
    assert [] == await site.kinds()
    site.clock.set(at(51 * HOUR))
    await site.sweep()
    assert [at(50 * HOUR + 15)] == [alert.raise_time for alert in await site.standing()]


async def test_a_run_that_hung_before_a_schedule_was_put_is_not_held_against_it(
    site: Site,
) -> None:
    await site.done(site.start(site.job("1"), -3 * 24 * HOUR))
    await site.put_all()
    site.clock.set(at(2 * HOUR + 14))
    await site.sweep()
    assert [] == await site.kinds()
    site.clock.set(at(2 * HOUR + 15))
    await site.sweep()
    assert ["first_run_missed"] == [alert.cause for alert in await site.standing()]


async def test_a_host_judged_in_another_way_is_waited_for_anew(site: Site) -> None:
    await site.done(site.put_host(offline_after=timedelta(hours=1)))
    site.clock.set(at(2 * HOUR))
    await site.sweep()
    assert ["agent_offline"] == await site.kinds()

    await site.done(site.put_host(offline_after=timedelta(hours=1), name="Renamed"))
    assert ["agent_offline"] == await site.kinds()
    await site.done(site.put_host(offline_after=timedelta(hours=3)))
    assert [] == await site.kinds()
    site.clock.set(at(5 * HOUR))
    await site.sweep()
    assert [at(5 * HOUR)] == [alert.raise_time for alert in await site.standing()]


async def test_a_source_group_put_after_its_backup_failed_rises_too(site: Site) -> None:
    await site.done(site.finish(site.job("1"), -5 * 24 * HOUR))
    await site.done(site.finish(site.job("2"), -10, JobResult.FAILED))
    await site.put_all()
    site.clock.advance(seconds=61)
    await site.sweep()

    assert [4] == [alert.objective_multiple for alert in await site.standing()]


async def test_nothing_moves_to_another_host(site: Site) -> None:
    other = Site(site.ledger, site.database, site.clock, "host-b")
    await site.put_all()
    await other.put_all()
    group = PutSourceGroup(SourceGroupSpec(site.group, other.host), ORCHESTRATOR)
    spec = ScheduleSpec(site.schedule, other.host, JobKind.BACKUP, DAILY, site.group)
    schedule = PutSchedule(spec, ORCHESTRATOR)

    assert "'host-a/data' lies on host 'host-a'" in (await violations(site, group))["host_id"]
    told = await violations(site, schedule)
    assert {"host_id", "source_group_id"} == set(told)
    assert "lies on host 'host-a'" in told["source_group_id"]


async def test_one_source_group_put_on_two_hosts_at_once_lies_on_one_of_them(
    alert_database: Database, clock: ManualClock
) -> None:
    async with (
        running_ledger(alert_database, clock=clock) as one,
        running_ledger(alert_database, clock=clock) as other,
    ):
        for number in range(10):
            commands = [
                ledger.submit(PutSourceGroup(SourceGroupSpec(f"g-{number}", host), ORCHESTRATOR))
                for ledger, host in ((one, "host-a"), (other, "host-b"))
            ]
            results = await asyncio.gather(*commands, return_exceptions=True)
            refusals = [each for each in results if isinstance(each, InvalidArgumentError)]
            assert 1 == len(refusals), results


async def test_nothing_is_put_on_what_is_retired(site: Site) -> None:
    await site.put_all()
    await site.done(RetireSourceGroup(site.group, ORCHESTRATOR))
    told = await violations(site, site.put_schedule(Cron("0 4 * * *")))
    assert "put the source group again first" in told["source_group_id"]

    await site.done(RetireHost(site.host, ORCHESTRATOR))
    for command in (site.put_group(2 * DAY), site.put_schedule(Cron("0 4 * * *"))):
        assert "put the host again first" in (await violations(site, command))["host_id"]
