"""A host that fails with more keys than it may have open alerts: one alert stands for the rest."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert import running_alert
from support.ledgers import alerts_of, clearing, events_of, raising, request, running_ledger
from support.observed import ANN, ORCHESTRATOR, at, failure, success
from support.statements import RecordingDatabase, plan_of
from support.waiting import eventually
from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.job import Job, JobFinished, JobKind, JobResult
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import RaiseOutcome
from tocsin.alert.domain.schedule import Interval, ScheduleSpec
from tocsin.alert.engine.floods import flood_key
from tocsin.alert.engine.skew import read_clock
from tocsin.alert.ledger.backup_commands import FinishJob, MissRun, PutSchedule
from tocsin.alert.ledger.commands import RaiseAnswer, Resolve
from tocsin.alert.store.floods import COUNT, count_open
from tocsin.alert.sweep.floods import LOOK_AROUND, REST, FloodSweep
from tocsin.api.alert.v1 import alert_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as rpc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.alert import RunningAlert
    from support.clock import ManualClock
    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.ledger import Ledger
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

LIMIT = 20
_MANY_OPEN = """
INSERT INTO alerts (alert_id, host_id, kind, dedup_key, host_name, severity, status, message, cause,
                    labels, occurrences, raise_time, last_seen_time, version)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'host-' || n % 200, 'backup_failed', n::text, '', 2, 1, '',
       '', '{}', 1, now(), now(), 1
FROM generate_series(1, 20000) n
"""
FLOOD = flood_key("flooding")


def key(number: int, host: str = "flooding") -> Key:
    return Key(host, "backup_failed", f"group-{number}")


async def fail(ledger: Ledger, numbers: Iterable[int], host: str = "flooding") -> None:
    await ledger.submit_many([raising(failure(0, key=key(each, host))) for each in numbers])


async def recover(ledger: Ledger, numbers: Iterable[int]) -> None:
    await ledger.submit_many([clearing(success(1, key=key(each))) for each in numbers])


async def standing(database: Database, host: str = "flooding") -> list[Alert]:
    """Return what is open on a host, its flood apart."""
    return [
        alert
        for alert in await alerts_of(database)
        if alert.status is not Status.RESOLVED
        and alert.key.host_id == host
        and alert.key.kind != "alert_flood"
    ]


async def floods_of(database: Database) -> list[Alert]:
    return [alert for alert in await alerts_of(database) if alert.key == FLOOD]


async def test_one_batch_raises_as_many_as_the_host_may_have_and_counts_the_rest(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database, open_alerts_per_host=LIMIT) as ledger:
        mixed = [
            raising(failure(0, key=key(each, host)))
            for each in range(50)
            for host in ("flooding", f"quiet-{each % 25}")
        ]
        results = await ledger.submit_many(mixed)

    assert LIMIT == len(await standing(alert_database))
    assert [2] * 25 == [len(await standing(alert_database, f"quiet-{n}")) for n in range(25)]
    (flood,) = await floods_of(alert_database)
    assert 30 == flood.occurrences
    answers = [each for each in results if isinstance(each, RaiseAnswer) and each.alert]
    counted = [each.outcome for each in answers if each.alert and each.alert.key == FLOOD]
    assert [RaiseOutcome.RAISED, *[RaiseOutcome.TOUCHED] * 29] == counted
    assert len(mixed) == len(answers)


async def test_a_flood_that_grows_worse_is_told_and_a_retry_gets_its_first_answer(
    alert_database: Database,
) -> None:
    worse = failure(0, key=key(100), severity=Severity.CRITICAL)
    async with running_ledger(alert_database, open_alerts_per_host=LIMIT) as ledger:
        await fail(ledger, range(LIMIT + 1))
        first = await ledger.submit(raising(worse, request("once")))
        again = await ledger.submit(raising(worse, request("once")))

    assert first.alert == again.alert
    assert not first.replayed
    assert again.replayed
    assert RaiseOutcome.TOUCHED is again.outcome
    (flood,) = await floods_of(alert_database)
    assert (2, Severity.CRITICAL) == (flood.occurrences, flood.severity)
    told = [event.type for event in await events_of(alert_database) if event.alert.key == FLOOD]
    assert [EventType.RAISED, EventType.SEVERITY_CHANGED] == told


async def test_a_flood_ends_when_fewer_than_nine_tenths_are_open(
    alert_database: Database, clock: ManualClock
) -> None:
    async with running_ledger(alert_database, clock=clock, open_alerts_per_host=LIMIT) as ledger:
        sweep = FloodSweep(alert_database, ledger, clock)
        await fail(ledger, range(LIMIT + 5))
        await recover(ledger, range(2))
        await sweep.step()
        (still,) = await floods_of(alert_database)
        await fail(ledger, [200])

        await recover(ledger, [2])
        rest = await sweep.step()
        await fail(ledger, [201])

    assert REST == rest
    assert Status.OPEN is still.status
    (ended,) = await floods_of(alert_database)
    assert (Status.RESOLVED, 6) == (ended.status, ended.occurrences)
    assert key(201) in {alert.key for alert in await standing(alert_database)}


async def test_a_flood_that_has_counted_since_it_was_looked_at_goes_on(
    alert_database: Database, clock: ManualClock
) -> None:
    async with running_ledger(alert_database, clock=clock, open_alerts_per_host=LIMIT) as ledger:
        await fail(ledger, range(LIMIT + 1))
        await recover(ledger, range(5))
        seen = (await floods_of(alert_database))[0].last_seen_time
        clock.advance(REST)
        await fail(ledger, [100])

        await ledger.submit(clearing(success(0, key=FLOOD)))

    (flood,) = await floods_of(alert_database)
    assert flood.last_seen_time > seen
    assert (Status.OPEN, 2) == (flood.status, flood.occurrences)


async def test_another_process_learns_of_a_flood_and_ends_it_when_its_own_has_gone(
    alert_database: Database, clock: ManualClock
) -> None:
    async with running_ledger(alert_database, clock=clock, open_alerts_per_host=LIMIT) as ledger:
        await fail(ledger, range(LIMIT + 1))
    async with running_ledger(alert_database, clock=clock, open_alerts_per_host=LIMIT) as other:
        sweep = FloodSweep(alert_database, other, clock)
        await sweep.step()
        await fail(other, [100])
        assert LIMIT == len(await standing(alert_database))

        await recover(other, range(5))
        clock.advance(LOOK_AROUND)
        await sweep.step()

    (flood,) = await floods_of(alert_database)
    assert (Status.RESOLVED, 2) == (flood.status, flood.occurrences)


async def test_a_flood_that_a_person_resolves_is_raised_again_while_there_is_no_room(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database, open_alerts_per_host=LIMIT) as ledger:
        await fail(ledger, range(LIMIT + 1))
        (first,) = await floods_of(alert_database)
        await ledger.submit(Resolve(first.alert_id, "", ANN))
        await fail(ledger, [100])

    first, second = await floods_of(alert_database)
    assert (Status.RESOLVED, Status.OPEN) == (first.status, second.status)
    assert first.alert_id == second.previous_alert_id


async def test_a_job_that_fails_on_a_flooded_host_is_counted_and_told_so(
    alert_database: Database, clock: ManualClock
) -> None:
    job = Job("job-1", "flooding", JobKind.BACKUP, "group-100", "repository", "")
    failed = JobFinished(job, JobResult.FAILED, clock.now(), clock.now(), exit_code=1)
    reading = read_clock(clock.now(), clock.now())
    async with running_ledger(alert_database, clock=clock, open_alerts_per_host=LIMIT) as ledger:
        await fail(ledger, range(LIMIT))
        answer = await ledger.submit(FinishJob(failed, reading, ORCHESTRATOR, b"failed"))

    assert [FLOOD] == [alert.key for alert in answer.alerts]
    assert LIMIT == len(await standing(alert_database))


async def test_a_schedule_that_is_late_on_a_flooded_host_is_looked_at_each_minute(
    alert_database: Database, clock: ManualClock
) -> None:
    spec = ScheduleSpec(
        "hourly", "flooding", JobKind.BACKUP, Interval(timedelta(hours=1)), grace=timedelta()
    )
    async with running_ledger(alert_database, clock=clock, open_alerts_per_host=LIMIT) as ledger:
        await ledger.submit(PutSchedule(spec, ORCHESTRATOR))
        await fail(ledger, range(LIMIT))
        clock.set(at(60))
        await ledger.submit(MissRun("hourly"))
        async with alert_database.connection() as connection:
            look_time = await connection.fetchval("SELECT look_time FROM schedules")
        (flood,) = await floods_of(alert_database)

        await recover(ledger, range(5))
        clock.set(at(61))
        await FloodSweep(alert_database, ledger, clock).step()
        await ledger.submit(MissRun("hourly"))

    assert at(61) == look_time
    assert (1, at(60)) == (flood.occurrences, flood.raise_time)
    (late,) = [a for a in await alerts_of(alert_database) if a.key.kind == "stale_schedule"]
    assert at(60) == late.raise_time


async def test_a_batch_takes_as_many_statements_on_a_flooded_host_as_on_any(
    alert_url: str,
) -> None:
    database = RecordingDatabase(alert_url)
    taken = []
    async with running_ledger(database, open_alerts_per_host=LIMIT) as ledger:
        for numbers in (range(5), range(5, LIMIT), range(LIMIT, 80), range(80, 200)):
            database.statements.clear()
            await fail(ledger, numbers)
            taken.append(len(database.statements))
    await database.close()

    assert [2] * 4 == taken


async def test_a_host_is_counted_by_the_index_of_open_keys_and_no_further_than_its_limit(
    alert_database: Database,
) -> None:
    async with alert_database.connection() as connection:
        await connection.execute(_MANY_OPEN)
        await connection.execute("ANALYZE alerts")
        plan = await plan_of(connection, COUNT, ["host-1", "host-2"], LIMIT)
        counts = await count_open(connection, ["host-1", "nothing"], LIMIT)

    assert {"alerts_one_open_per_key"} == plan.indexes
    assert plan.rows_met <= 2 * (LIMIT + 1) + 2
    assert [("host-1", LIMIT, None), ("nothing", 0, None)] == sorted(counts)


async def test_two_replicas_hold_a_host_at_about_its_limit(alert_url: str) -> None:
    """1,500 keys fail, in batches and singly, at both; all of them are open, or counted once."""
    limit, batch = 100, 50
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(running_alert(alert_url, open_alerts_per_host=limit))
            for _ in range(2)
        ]
        halves = range(750), range(750, 1_500)
        await asyncio.gather(
            *(send(replica, half, batch) for replica, half in zip(replicas, halves, strict=True))
        )
        await one(replicas[0], "quiet", 0)
        open_alerts = await listed(replicas[0], "flooding")
        (flood,) = [alert for alert in open_alerts if alert.kind == "alert_flood"]
        others = len(open_alerts) - 1
        assert limit <= others <= 2 * limit + 2 * batch
        assert 1_500 == others + flood.occurrences
        assert 1 == len(await listed(replicas[1], "quiet"))

        await clear(replicas[1], [alert for alert in open_alerts if alert != flood][: others - 80])
        await eventually(lambda: has_ended(replicas[0]))


async def has_ended(replica: RunningAlert) -> bool:
    return all(alert.kind != "alert_flood" for alert in await listed(replica, "flooding"))


async def send(replica: RunningAlert, numbers: range, batch: int) -> None:
    """Report failures, the first half in batches and the others one by one."""
    middle = len(numbers) // 2
    for begin in range(0, middle, batch):
        chosen = numbers[begin : min(begin + batch, middle)]
        requests = [asked("flooding", number) for number in chosen]
        answer = await replica.alerts.BatchRaiseOrTouch(
            rpc.BatchRaiseOrTouchRequest(requests=requests)
        )
        assert all(result.HasField("response") for result in answer.results)
    for number in numbers[middle:]:
        await one(replica, "flooding", number)


async def one(replica: RunningAlert, host: str, number: int) -> None:
    await replica.alerts.RaiseOrTouch(asked(host, number))


def asked(host: str, number: int) -> rpc.RaiseOrTouchRequest:
    return rpc.RaiseOrTouchRequest(host_id=host, kind="backup_failed", dedup_key=f"key-{number}")


async def listed(replica: RunningAlert, host: str) -> list[alert_pb2.Alert]:
    """Return what is open on a host."""
    found: list[alert_pb2.Alert] = []
    token = ""
    while True:
        answer = await replica.alerts.ListAlerts(
            rpc.ListAlertsRequest(
                statuses=[alert_pb2.ALERT_STATUS_OPEN],
                host_ids=[host],
                page_size=500,
                page_token=token,
            )
        )
        found += answer.alerts
        token = answer.next_page_token
        if not token:
            return found


async def clear(replica: RunningAlert, alerts: list[alert_pb2.Alert]) -> None:
    for alert in alerts:
        await replica.alerts.AutoResolve(
            rpc.AutoResolveRequest(
                host_id=alert.host_id, kind=alert.kind, dedup_key=alert.dedup_key
            )
        )
