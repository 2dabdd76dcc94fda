"""What reports of jobs do to alerts, schedules and what is remembered, each in one transaction."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.ledgers import alerts_of, events_of, raising, running_ledger
from support.looks import check_looks
from support.observed import ANN, at, failure
from support.site import DAY, Site
from support.statements import RecordingDatabase
from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.host import Profile
from tocsin.alert.domain.job import Job, JobKind, JobResult, Summary
from tocsin.alert.domain.schedule import Cron
from tocsin.alert.ledger.backup_commands import MissRun, Rise
from tocsin.alert.ledger.commands import Resolve
from tocsin.alert.store.hosts import get_host
from tocsin.alert.store.jobs import read_jobs
from tocsin.alert.store.schedules import get_schedule, read_schedules
from tocsin.common.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from support.clock import ManualClock
    from tocsin.alert.domain.schedule import Schedule
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = 60
FAILED = JobResult.FAILED


@pytest.fixture
async def site(alert_database: Database, clock: ManualClock) -> AsyncIterator[Site]:
    async with running_ledger(alert_database, clock=clock) as ledger:
        yield Site(ledger, alert_database, clock)
        await check_looks(alert_database, clock)


async def schedule_of(site: Site) -> Schedule:
    async with site.database.connection() as connection:
        schedule = await get_schedule(connection, site.schedule)
    assert schedule is not None
    return schedule


async def look_of(site: Site) -> datetime | None:
    async with site.database.connection() as connection:
        return (await read_schedules(connection, [site.schedule], [], []))[site.schedule].look_time


async def refused(site: Site, command: Any) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        await site.ledger.submit(command)
    return caught.value


async def test_a_failed_backup_raises_and_the_next_success_resolves(site: Site) -> None:
    failed = await site.finished(site.finish(site.job("1"), -20, FAILED, error="no space left"))
    healed = await site.finished(site.finish(site.job("2"), -10))

    assert (False, FAILED, "out_of_space") == (failed.replayed, failed.judged, failed.cause)
    (raised,), (resolved,) = failed.alerts, healed.alerts
    assert site.key("backup_failed", site.group) == raised.key
    assert at(-20) == raised.raise_time
    assert (raised.alert_id, Status.RESOLVED) == (resolved.alert_id, resolved.status)
    assert [EventType.RAISED, EventType.RESOLVED] == [
        event.type for event in await events_of(site.database)
    ]


async def test_a_report_needs_nothing_that_was_put(site: Site) -> None:
    await site.finished(site.finish(site.job("1", JobKind.CHECK), -5, FAILED))

    (alert,) = await site.standing()
    assert ("check_failed", "repo", Severity.CRITICAL) == (
        alert.key.kind,
        alert.key.dedup_key,
        alert.severity,
    )


async def test_an_alert_bears_what_it_is_about_and_the_labels_of_its_host(site: Site) -> None:
    await site.done(
        site.put_host(name="The NAS", labels={"site": "attic"}), site.put_group(repository="b2")
    )
    job = site.job("1", repository="")

    (alert,) = (await site.finished(site.finish(job, -5, FAILED))).alerts

    assert ("The NAS", {"site": "attic"}) == (alert.host_name, dict(alert.host_labels))
    subject = alert.subject
    assert (site.group, "b2", site.schedule) == (
        subject.source_group_id,
        subject.repository_id,
        subject.schedule_id,
    )


async def test_a_summary_with_gaps_makes_a_success_incomplete_which_clears_nothing(
    site: Site,
) -> None:
    await site.done(site.finish(site.job("1"), -20, FAILED))

    answer = await site.finished(
        site.finish(site.job("2"), -10, summary=Summary(unreadable_count=2))
    )

    assert JobResult.INCOMPLETE is answer.judged
    assert ["backup_failed", "backup_incomplete"] == await site.kinds()


async def test_a_late_failure_that_a_success_made_up_for_raises_nothing(site: Site) -> None:
    await site.done(site.finish(site.job("2"), -10))

    answer = await site.finished(site.finish(site.job("1"), -20, FAILED))

    assert () == answer.alerts
    assert [] == await alerts_of(site.database)


async def test_the_same_end_again_is_replayed_and_changes_nothing(site: Site) -> None:
    full = "no space left on device"
    command = site.finish(site.job("1"), -20, FAILED, error=full)
    first = await site.finished(command)
    events = await events_of(site.database)

    for again in (command, site.finish(site.job("1"), -15, FAILED, error=full)):
        answer = await site.finished(again)
        assert (True, FAILED, first.cause, ()) == (
            answer.replayed,
            answer.judged,
            answer.cause,
            answer.alerts,
        )
    assert events == await events_of(site.database)
    assert list(first.alerts) == await site.standing()


async def test_a_job_id_with_other_content_is_refused(site: Site) -> None:
    await site.done(site.start(site.job("1"), -30), site.finish(site.job("2"), -20))

    others = (
        site.finish(site.job("2"), -20, FAILED),
        site.finish(site.job("1", JobKind.CHECK), -20),
        site.start(site.job("2", repository="other"), -30),
    )
    for command in others:
        refusal = await refused(site, command)
        assert "JOB_ID_REUSED" == refusal.reason
        (violation,) = refusal.violations
        assert "job_id" == violation.field
        assert "give every job an id of its own" in violation.description


async def test_starts_are_replayed_when_they_repeat_and_after_their_own_end(site: Site) -> None:
    first = await site.ledger.submit(site.start(site.job("1"), -30))
    again = await site.ledger.submit(site.start(site.job("1"), -29))
    await site.done(site.finish(site.job("2"), -20))
    after = await site.ledger.submit(site.start(site.job("2"), -30))

    assert [False, True, True] == [first.replayed, again.replayed, after.replayed]
    async with site.database.connection() as connection:
        jobs = await read_jobs(connection, [site.job("1").job_id])
    assert at(-30) == jobs[site.job("1").job_id].start_time


async def test_a_source_group_or_schedule_of_another_host_is_refused(site: Site) -> None:
    other = Site(site.ledger, site.database, site.clock, "host-b")
    await other.put_all()
    job = Job("1", site.host, JobKind.BACKUP, other.group, "", other.schedule)

    refusal = await refused(site, site.finish(job, -5))

    assert ["source_group_id", "schedule_id"] == [each.field for each in refusal.violations]
    for violation in refusal.violations:
        assert "lies on host 'host-b'" in violation.description
    async with site.database.connection() as connection:
        assert {} == await read_jobs(connection, ["1"])
        assert None is await get_host(connection, site.host)


async def test_one_end_told_through_two_processes_at_once_counts_once(
    alert_database: Database, clock: ManualClock
) -> None:
    async with (
        running_ledger(alert_database, clock=clock) as one,
        running_ledger(alert_database, clock=clock) as other,
    ):
        sites = [Site(ledger, alert_database, clock) for ledger in (one, other, one, other)]
        for number in range(10):
            answers = await asyncio.gather(
                *(
                    each.finished(each.finish(each.job(f"{number}"), number - 60, FAILED))
                    for each in sites
                )
            )
            assert [False, True, True, True] == sorted(answer.replayed for answer in answers)
        (alert,) = await alerts_of(alert_database)
        assert 10 == alert.occurrences


async def test_one_job_id_told_of_two_hosts_at_once_is_taken_for_one_of_them(
    alert_database: Database, clock: ManualClock
) -> None:
    async with (
        running_ledger(alert_database, clock=clock) as one,
        running_ledger(alert_database, clock=clock) as other,
    ):
        for number in range(10):
            commands = []
            for ledger, host in ((one, "host-a"), (other, "host-b")):
                site = Site(ledger, alert_database, clock, host)
                job = Job(f"{number}", host, JobKind.CHECK)
                commands.append(ledger.submit(site.finish(job, -5)))
            results = await asyncio.gather(*commands, return_exceptions=True)
            (refusal,) = [each for each in results if isinstance(each, Exception)]
            assert isinstance(refusal, InvalidArgumentError)
            assert "JOB_ID_REUSED" == refusal.reason


async def test_a_run_that_does_not_come_is_raised_at_its_deadline_however_late(site: Site) -> None:
    await site.put_all()
    site.clock.set(at(9 * HOUR))

    answer = await site.ledger.submit(MissRun(site.schedule))

    assert answer.changed
    (alert,) = await site.standing()
    assert site.key("stale_schedule", site.schedule) == alert.key
    assert (at(2 * HOUR + 15), "first_run_missed") == (alert.raise_time, alert.cause)
    assert not (await site.ledger.submit(MissRun(site.schedule))).changed
    assert [alert] == await site.standing()


async def test_only_the_end_of_a_run_ends_its_silence_not_a_start(site: Site) -> None:
    await site.put_all()
    site.clock.set(at(3 * HOUR))
    await site.sweep()

    await site.done(site.start(site.job("1"), 3 * HOUR))
    assert ["stale_schedule"] == await site.kinds()
    site.clock.set(at(4 * HOUR))
    answer = await site.finished(site.finish(site.job("1"), 4 * HOUR, start=3 * HOUR))

    (resolved,) = answer.alerts
    assert resolved.resolution is not None
    assert at(4 * HOUR) == resolved.resolution.time
    assert at(26 * HOUR) == (await schedule_of(site)).due_time


async def test_a_silence_that_is_over_at_the_very_time_of_its_deadline_is_resolved(
    site: Site,
) -> None:
    await site.put_all()
    site.clock.set(at(2 * HOUR + 15))
    await site.sweep()
    assert ["stale_schedule"] == await site.kinds()

    await site.done(site.finish(site.job("1"), 2 * HOUR + 10))

    assert [] == await site.kinds()


async def test_a_failed_run_came_and_a_cancelled_one_is_still_to_come(site: Site) -> None:
    await site.put_all()
    site.clock.set(at(3 * HOUR))
    await site.sweep()

    await site.done(site.finish(site.job("1"), 2 * HOUR + 20, JobResult.CANCELLED))
    assert ["stale_schedule"] == await site.kinds()
    await site.done(site.finish(site.job("2"), 2 * HOUR + 30, FAILED))
    assert ["backup_failed"] == await site.kinds()


async def test_a_job_of_another_kind_is_no_run_of_a_schedule(site: Site) -> None:
    await site.put_all()
    site.clock.set(at(3 * HOUR))
    await site.sweep()

    check = site.job("1", JobKind.CHECK)
    await site.done(site.start(check, 170), site.finish(check, 175))

    assert ["stale_schedule"] == await site.kinds()
    assert None is (await schedule_of(site)).runs.last_finish_time


async def test_a_run_that_never_finishes_is_raised_and_ended_by_the_next_one(site: Site) -> None:
    await site.put_all()
    site.clock.set(at(2 * HOUR))
    await site.done(site.start(site.job("1"), 2 * HOUR))
    site.clock.set(at(25 * HOUR))
    await site.sweep()
    assert [] == await site.kinds()

    site.clock.set(at(26 * HOUR))
    await site.sweep()
    (alert,) = await site.standing()
    assert (at(26 * HOUR), "never_finished") == (alert.raise_time, alert.cause)

    site.clock.set(at(26 * HOUR + 10))
    await site.done(site.finish(site.job("2"), 26 * HOUR + 10))
    assert [] == await site.kinds()
    assert None is (await schedule_of(site)).runs.unfinished_start_time


async def test_a_run_under_way_does_not_make_up_for_one_that_was_missed(site: Site) -> None:
    await site.put_all()
    site.clock.set(at(60 * HOUR))
    await site.sweep()

    await site.done(site.start(site.job("3"), 59 * HOUR), site.finish(site.job("1"), 2 * HOUR + 10))
    assert ["stale_schedule"] == await site.kinds()
    await site.done(site.finish(site.job("3"), 60 * HOUR, start=59 * HOUR))
    assert [] == await site.kinds()


async def test_a_run_that_is_learned_of_late_and_overdue_is_raised_all_the_same(
    site: Site,
) -> None:
    short = site.put_schedule(max_duration=timedelta(hours=1))
    await site.done(site.put_host(), site.put_group(), short)
    site.clock.set(at(12 * HOUR))
    await site.sweep()
    await site.done(site.finish(site.job("1"), 2 * HOUR + 30))
    assert [] == await site.kinds()

    await site.done(site.start(site.job("2"), 9 * HOUR))
    await site.sweep()

    (alert,) = await site.standing()
    assert ("never_finished", at(12 * HOUR)) == (alert.cause, alert.raise_time)


async def test_an_older_end_that_comes_late_does_not_end_a_run_that_never_finished(
    site: Site,
) -> None:
    weekly = Cron("0 2 * * 1")
    await site.done(site.put_host(), site.put_group(), site.put_schedule(weekly))
    site.clock.set(at(2 * HOUR))
    await site.done(site.start(site.job("1"), 2 * HOUR))
    site.clock.set(at(27 * HOUR))
    await site.sweep()

    await site.done(site.finish(site.job("0"), HOUR))
    assert ["stale_schedule"] == await site.kinds()
    cancelled = site.finish(site.job("1"), 27 * HOUR, JobResult.CANCELLED)
    assert ["stale_schedule"] == [
        alert.key.kind for alert in (await site.finished(cancelled)).alerts
    ]
    assert [] == await site.kinds()


async def test_a_silence_resolved_by_hand_rings_again_at_the_next_run_that_is_missed(
    site: Site,
) -> None:
    await site.put_all()
    site.clock.set(at(3 * HOUR))
    await site.sweep()
    (first,) = await site.standing()
    await site.ledger.submit(Resolve(first.alert_id, "known", ANN))

    await site.sweep()
    assert [] == await site.kinds()
    assert at(26 * HOUR + 15) == await look_of(site)
    site.clock.set(at(27 * HOUR))
    await site.sweep()
    (second,) = await site.standing()
    assert (at(26 * HOUR + 15), first.alert_id) == (second.raise_time, second.previous_alert_id)


async def test_a_schedule_that_cannot_be_computed_is_looked_at_again_in_an_hour(
    site: Site,
) -> None:
    await site.done(site.put_schedule(Cron("0 0 30 2 *")))
    assert at(HOUR) == await look_of(site)
    site.clock.set(at(2 * HOUR))

    answer = await site.ledger.submit(MissRun(site.schedule))
    await site.done(site.start(site.job("1"), HOUR), site.finish(site.job("1"), 2 * HOUR))

    assert (False, True) == (answer.changed, answer.is_blocked)
    assert at(3 * HOUR) == await look_of(site)
    await site.done(site.put_schedule())


async def test_a_report_moves_no_look_that_is_early_enough(site: Site) -> None:
    await site.put_all()
    looks = [await look_of(site)]
    for day in range(2):
        site.clock.set(at(day * 24 * HOUR + 2 * HOUR))
        job = site.job(f"{day}")
        await site.done(site.start(job, day * 24 * HOUR + 2 * HOUR))
        looks.append(await look_of(site))
        await site.done(site.finish(job, day * 24 * HOUR + 2 * HOUR))
        looks.append(await look_of(site))

    assert {at(2 * HOUR + 15)} == set(looks)
    await site.sweep()
    assert at(50 * HOUR + 15) == await look_of(site)


async def test_what_stands_rises_as_the_last_good_backup_ages(site: Site) -> None:
    await site.done(site.put_host(), site.put_group(DAY), site.finish(site.job("0"), 0))
    risen = []
    for hours in (2, 23, 24, 25, 47, 48, 95, 96, 300):
        site.clock.set(at(hours * HOUR))
        await site.done(site.finish(site.job(f"{hours}"), hours * HOUR, FAILED))
        site.clock.advance(seconds=61)
        await site.done(Rise(site.group))
        (alert,) = await site.standing()
        risen.append((hours, alert.objective_multiple))

    expected = [(2, 0), (23, 0), (24, 1), (25, 1), (47, 1), (48, 2), (95, 2), (96, 4), (300, 4)]
    assert expected == risen
    told = [
        event.occur_time
        for event in await events_of(site.database)
        if event.type is EventType.SEVERITY_CHANGED
    ]
    assert [at(24 * HOUR), at(48 * HOUR), at(96 * HOUR)] == told


async def test_an_agent_that_catches_up_makes_nothing_rise_before_it_is_done(site: Site) -> None:
    await site.done(site.put_host(), site.put_group(DAY))
    site.clock.set(at(100 * HOUR))
    await site.done(site.finish(site.job("1"), 50 * HOUR, FAILED))
    site.clock.advance(seconds=40)
    await site.done(site.finish(site.job("2"), 60 * HOUR, FAILED))
    site.clock.advance(seconds=25)
    await site.done(Rise(site.group))
    assert [0] == [alert.objective_multiple for alert in await site.standing()]

    await site.done(site.finish(site.job("3"), 99 * HOUR))
    assert [] == await site.kinds()


async def test_a_job_that_fails_all_the_time_does_not_keep_its_alert_from_rising(
    site: Site,
) -> None:
    await site.done(site.put_host(), site.put_group(DAY))
    site.clock.set(at(30 * HOUR))
    for number in range(4):
        await site.done(site.finish(site.job(f"{number}"), 30 * HOUR + number / 2, FAILED))
        site.clock.advance(seconds=30)
    await site.done(Rise(site.group))

    assert [1] == [alert.objective_multiple for alert in await site.standing()]


async def test_a_host_is_called_offline_at_its_deadline_and_any_report_brings_it_back(
    site: Site,
) -> None:
    await site.done(site.put_host(offline_after=timedelta(hours=1)), site.hear())
    site.clock.set(at(3 * HOUR))
    await site.sweep()
    (alert,) = await site.standing()
    assert ("agent_offline", at(HOUR)) == (alert.key.kind, alert.raise_time)

    (back,) = (await site.finished(site.finish(site.job("1"), 2 * HOUR))).alerts

    assert (alert.alert_id, Status.RESOLVED) == (back.alert_id, back.status)
    async with site.database.connection() as connection:
        host = await get_host(connection, site.host)
    assert host is not None
    assert at(3 * HOUR) == host.signs.last_heard_time


async def test_a_heartbeat_answers_with_the_silence_that_it_ended(site: Site) -> None:
    await site.done(site.put_host(), site.hear())
    site.clock.set(at(16))
    await site.sweep()

    answer = await site.ledger.submit(site.hear())

    assert answer.resolved is not None
    assert at(15) == answer.resolved.raise_time
    assert None is (await site.ledger.submit(site.hear())).resolved


async def test_a_laptop_is_judged_by_the_shortest_objective_of_its_source_groups(
    site: Site,
) -> None:
    await site.done(site.put_host(Profile.LAPTOP), site.hear())
    site.clock.set(at(50 * HOUR))
    await site.sweep()
    assert [] == await site.kinds()

    site.clock.set(at(51 * HOUR))
    await site.done(site.hear(), site.put_group(DAY))
    site.clock.set(at(75 * HOUR))
    await site.sweep()
    (alert,) = await site.standing()
    assert ("agent_offline", at(75 * HOUR)) == (alert.key.kind, alert.raise_time)


async def test_the_number_of_statements_does_not_depend_on_the_number_of_reports(
    alert_url: str, clock: ManualClock
) -> None:
    database = RecordingDatabase(alert_url)

    async def statements_of(numbers: range) -> int:
        sites = [Site(ledger, database, clock, f"host-{number}") for number in numbers]
        commands = [
            command
            for site in sites
            for command in (
                site.put_host(),
                site.put_group(),
                site.put_schedule(),
                site.start(site.job("1"), -30),
                site.finish(site.job("1"), -20, FAILED, error="repository is already locked"),
                site.hear(),
                MissRun(site.schedule),
                Rise(site.group),
            )
        ]
        database.statements.clear()
        for result in await ledger.submit_many(commands):
            assert not isinstance(result, Exception)
        return len(database.statements)

    async with running_ledger(database, clock=clock, max_batch=2_000) as ledger:
        await statements_of(range(2))
        one, many = await statements_of(range(2, 3)), await statements_of(range(3, 63))
        alone = Site(ledger, database, clock, "host-x")
        database.statements.clear()
        await ledger.submit(raising(failure(0)))
        generic = len(database.statements)
        await alone.done(alone.hear())
    await database.close()

    assert 0 < one == many <= 18
    assert 2 == generic
