"""Which alert explains another: recorded when it is raised, undone when it outlives it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.ledgers import events_of, running_ledger
from support.looks import check_looks
from support.observed import ANN, ORCHESTRATOR, at
from support.site import Site
from support.statements import plan_of
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.job import JobKind, JobResult
from tocsin.alert.engine.dependencies import UNREACHABLE_CAUSES
from tocsin.alert.ledger.backup_commands import RetireHost, Unsuppress
from tocsin.alert.ledger.commands import Resolve
from tocsin.alert.store import roots
from tocsin.alert.store.roots import UNREACHABLE
from tocsin.alert.sweep.suppressions import SuppressionSweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.alert.domain.alert import Alert
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = 60
GRACE = timedelta(minutes=10)
LOCKED = "repository is already locked"


@pytest.fixture
async def site(alert_database: Database, clock: ManualClock) -> AsyncIterator[Site]:
    async with running_ledger(alert_database, clock=clock) as ledger:
        yield Site(ledger, alert_database, clock)
        await check_looks(alert_database, clock)


def on(site: Site, host: str) -> Site:
    return Site(site.ledger, site.database, site.clock, host)


async def failed(
    site: Site, job_id: str, minutes: float, error: str, *, repository: str = "repo"
) -> Alert:
    job = site.job(job_id, repository=repository)
    answer = await site.finished(site.finish(job, minutes, JobResult.FAILED, error=error))
    (alert,) = answer.alerts
    return alert


async def test_a_run_missed_while_its_host_is_offline_is_explained_by_that(site: Site) -> None:
    await site.put_all()
    await site.done(site.put_host(offline_after=timedelta(hours=1)))
    site.clock.set(at(3 * HOUR))

    await site.sweep()

    offline, stale = await site.standing()
    assert (None, offline.alert_id) == (offline.suppressed_by, stale.suppressed_by)


async def test_a_locked_repository_explains_the_other_failures_of_it(site: Site) -> None:
    root = await failed(site, "1", -30, LOCKED)

    late = await failed(on(site, "host-b"), "1", -40, "it broke")
    check = (
        await site.finished(
            site.finish(site.job("2", JobKind.CHECK), -20, JobResult.FAILED, error=LOCKED)
        )
    ).alerts[0]
    elsewhere = await failed(on(site, "host-c"), "1", -10, "it broke", repository="other")
    unnamed = await failed(on(site, "host-d"), "1", -10, "it broke", repository="")

    assert [root.alert_id, root.alert_id, None, None] == [
        alert.suppressed_by for alert in (late, check, elsewhere, unnamed)
    ]
    again = await failed(site, "3", -5, LOCKED)
    assert (root.alert_id, None) == (again.alert_id, again.suppressed_by)


async def test_what_explains_is_read_from_an_index_of_nothing_else(site: Site) -> None:
    assert set(UNREACHABLE) == UNREACHABLE_CAUSES
    for number in range(60):
        await failed(on(site, f"host-{number}"), "1", -number, LOCKED)

    async with site.database.connection() as connection:
        await connection.execute("ANALYZE alerts")
        await connection.execute("SET enable_seqscan = off")
        plan = await plan_of(connection, roots._OF_REPOSITORIES, ["repo"])
        found = await roots.repository_roots(connection, ["repo", "other"])
        await connection.execute("RESET enable_seqscan")
    assert {"alerts_open_by_repository"} == plan.indexes
    assert (1, False) == (len(found), plan.is_sorted)


async def test_an_alert_that_is_explained_explains_none(site: Site) -> None:
    first = await failed(site, "1", -30, LOCKED)
    second = await failed(on(site, "host-b"), "1", -40, LOCKED)
    third = await failed(on(site, "host-c"), "1", -50, LOCKED)

    assert [first.alert_id] * 2 == [second.suppressed_by, third.suppressed_by]


async def test_of_failures_in_one_batch_the_first_explains_the_others(site: Site) -> None:
    sites = [on(site, f"host-{number}") for number in range(4)]
    await site.done(
        *(each.finish(each.job("1"), -10, JobResult.FAILED, error=LOCKED) for each in sites)
    )

    alerts = [(await each.standing())[0] for each in sites]
    root = alerts[0].alert_id
    assert [None, root, root, root] == [alert.suppressed_by for alert in alerts]


async def test_a_source_group_names_the_repository_that_its_reports_do_not(site: Site) -> None:
    root = await failed(site, "1", -30, LOCKED)
    other = on(site, "host-b")
    await other.done(other.put_host(), other.put_group())

    assert root.alert_id == (await failed(other, "1", -10, "it broke", repository="")).suppressed_by


async def test_what_outlives_its_explanation_by_a_grace_comes_out(site: Site) -> None:
    root = await failed(site, "1", -30, LOCKED)
    other = on(site, "host-b")
    late = await failed(other, "1", -20, "it broke")
    command = Unsuppress(late.alert_id, GRACE)
    assert not (await site.ledger.submit(command)).changed

    await site.done(site.finish(site.job("2"), -4))
    site.clock.set(at(5.9))
    assert not (await site.ledger.submit(command)).changed
    site.clock.set(at(30))
    assert (await site.ledger.submit(command)).changed

    (alert,) = await other.standing()
    assert (None, late.version + 1) == (alert.suppressed_by, alert.version)
    event = (await events_of(site.database))[-1]
    assert (EventType.UNSUPPRESSED, at(6), "tocsin-alert") == (
        event.type,
        event.occur_time,
        event.actor,
    )
    assert root.alert_id != alert.alert_id
    assert not (await site.ledger.submit(command)).changed


async def test_however_the_explanation_ended_the_grace_counts_from_then(site: Site) -> None:
    await site.done(site.put_host())
    first = await failed(site, "1", -30, LOCKED)
    by_hand = await failed(on(site, "host-b"), "1", -20, "it broke")
    await site.ledger.submit(Resolve(first.alert_id, "", ANN))
    second = await failed(site, "2", -10, LOCKED, repository="b2")
    retired = await failed(on(site, "host-c"), "1", -5, "it broke", repository="b2")
    assert second.alert_id == retired.suppressed_by
    await site.done(RetireHost(site.host, ORCHESTRATOR))

    site.clock.set(at(10))
    for alert in (by_hand, retired):
        assert (await site.ledger.submit(Unsuppress(alert.alert_id, GRACE))).changed
    assert {at(10)} == {event.occur_time for event in (await events_of(site.database))[-2:]}


async def test_what_came_later_than_the_end_of_its_explanation_comes_out_when_it_was_raised(
    site: Site,
) -> None:
    await failed(site, "1", -60, LOCKED)
    late = await failed(on(site, "host-b"), "1", -20, "it broke")
    await site.done(site.finish(site.job("2"), -50))

    assert (await site.ledger.submit(Unsuppress(late.alert_id, GRACE))).changed
    assert at(-20) == (await events_of(site.database))[-1].occur_time


async def test_an_alert_that_has_another_cause_by_now_explains_no_longer(site: Site) -> None:
    root = await failed(site, "1", -30, LOCKED)
    other = on(site, "host-b")
    late = await failed(other, "1", -25, "it broke")
    sweep = SuppressionSweep(site.database, site.ledger, site.clock, GRACE)
    await sweep.step()
    assert root.alert_id == (await other.standing())[0].suppressed_by

    await failed(site, "2", -20, "wrong password or no key found")
    await sweep.step()

    (alert,) = await other.standing()
    assert (None, late.version + 1) == (alert.suppressed_by, alert.version)
    assert at(-20) == (await events_of(site.database))[-1].occur_time


async def test_a_host_that_is_offline_explains_until_it_is_heard(site: Site) -> None:
    await site.put_all()
    await site.done(site.put_host(offline_after=timedelta(hours=1)))
    site.clock.set(at(3 * HOUR))
    await site.sweep()
    site.clock.set(at(9 * HOUR))

    await SuppressionSweep(site.database, site.ledger, site.clock, GRACE).step()

    offline, stale = await site.standing()
    assert offline.alert_id == stale.suppressed_by


async def test_what_is_resolved_meanwhile_does_not_come_out(site: Site) -> None:
    await failed(site, "1", -30, LOCKED)
    other = on(site, "host-b")
    late = await failed(other, "1", -20, "it broke")
    await site.done(site.finish(site.job("2"), -4), other.finish(other.job("2"), -4))
    site.clock.set(at(30))

    assert not (await site.ledger.submit(Unsuppress(late.alert_id, GRACE))).changed
    assert [] == await other.kinds()
