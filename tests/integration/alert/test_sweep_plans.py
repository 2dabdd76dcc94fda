"""A hundred thousand hosts and two hundred thousand schedules cost what is due, and no more."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.clock import START, ManualClock
from support.fleet import insert_fleet
from support.ledgers import running_ledger
from support.observed import ORCHESTRATOR, at
from support.statements import RecordingDatabase, plan_of
from tocsin.alert.domain.job import Job, JobFinished, JobKind, JobResult, JobStarted
from tocsin.alert.engine.skew import read_clock
from tocsin.alert.engine.stale_schedules import STALE_SCHEDULE
from tocsin.alert.ledger.backup_commands import FinishJob, Hear, MissRun, StartJob
from tocsin.alert.store import floods, job_retention, suppressions
from tocsin.alert.store.looks import HOST_LOOKS, RISE_LOOKS, SCHEDULE_LOOKS, Looks
from tocsin.alert.sweep.deadlines import LEASE, REST
from tocsin.alert.sweep.parts import Sweeps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime

    from support.postgres import PostgresServer
    from support.statements import Plan, Statement
    from tocsin.alert.ledger.backup_commands import BackupCommand

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

HOSTS = 100_000
LARGE = (
    "hosts",
    "host_signs",
    "source_groups",
    "schedules",
    "jobs",
    "job_streams",
    "alerts",
    "alert_keys",
)
DUE = 1_000
NOW = at(60)
LATER = at(24 * 60)

# Among so many alerts that are resolved: one that stands for another that ended long ago, and one
# for another that stands.
ALERTS = """
INSERT INTO alerts (alert_id, host_id, kind, dedup_key, host_name, severity, status, message, cause,
                    labels, occurrences, raise_time, last_seen_time, version, resolve_time,
                    resolve_reason, suppressed_by)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'resolved-' || n, 'backup_failed', '', '', 2,
       CASE WHEN n <= 3 THEN 1 ELSE 3 END, '',
       CASE n WHEN 3 THEN 'locked' ELSE '' END, '{}', 1, $2::timestamptz, $2, 1,
       CASE WHEN n > 3 THEN $2 END, CASE WHEN n > 3 THEN 1 END,
       CASE n WHEN 1 THEN lpad(to_hex(4), 32, '0')::uuid
              WHEN 2 THEN lpad(to_hex(3), 32, '0')::uuid END
FROM generate_series(1, $1::integer) n
"""
KEYS = """
INSERT INTO alert_keys (host_id, kind, dedup_key, last_alert_id)
SELECT host_id, kind, dedup_key, alert_id FROM alerts
"""
STREAMS = """
INSERT INTO job_streams (host_id, job_kind, of_id, success_time, success_job_id)
SELECT 'host-' || lpad(n::text, 6, '0'), 1, 'group-' || lpad(n::text, 6, '0'), $2::timestamptz,
       'old-' || n
FROM generate_series(1, $1::integer) n
"""
RAISED = "SELECT raise_time FROM alerts WHERE kind = $1"
JOBS = """
INSERT INTO jobs (job_id, host_id, job_kind, source_group_id, repository_id, schedule_id,
                  start_time, finish_time, result, cause, receive_time)
SELECT 'old-' || n, 'host-' || lpad(n::text, 6, '0'), 1, 'group-' || lpad(n::text, 6, '0'),
       'repository', 'schedule-' || lpad(n::text, 6, '0') || '-1', $2::timestamptz, $2, 1, '',
       $2::timestamptz + n * interval '1 second'
FROM generate_series(1, $1::integer) n
"""


@asynccontextmanager
async def recording(url: str) -> AsyncIterator[RecordingDatabase]:
    database = RecordingDatabase(url)
    try:
        yield database
    finally:
        await database.close()


async def fill(url: str, hosts: int, due: int) -> None:
    """Write the fleet: the first schedule of the first hosts is due now, all else later."""
    async with recording(url) as database, database.connection() as connection:
        await insert_fleet(
            connection, hosts, schedules_each=2, create_time=START, deadline_time=LATER
        )
        await connection.execute(
            "UPDATE schedules SET run_interval = $1, look_time = $2, deadline_time = $2"
            " WHERE schedule_id LIKE '%-1' AND substr(schedule_id, 10, 6)::integer <= $3",
            NOW - START,
            NOW,
            due,
        )
        await connection.execute(
            "UPDATE source_groups SET rise_look_time = $1 WHERE substr(source_group_id, 7)::integer"
            " <= $2",
            NOW,
            hosts // 100,
        )
        await connection.execute(ALERTS, hosts, START)
        await connection.execute(JOBS, hosts, START)
        await connection.execute(KEYS)
        await connection.execute(STREAMS, hosts, START)
        for table in LARGE:
            await connection.execute(f"VACUUM ANALYZE {table}")


@pytest.fixture(scope="module")
def many(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with all of them. Each test changes other hosts."""
    name, url = asyncio.run(postgres_server.fresh_database("alert"))
    asyncio.run(fill(url, HOSTS, DUE))
    yield url
    asyncio.run(postgres_server.drop_database(name))


@pytest.fixture
async def few(alert_url: str) -> str:
    """A database with a thousandth of that."""
    await fill(alert_url, HOSTS // 1_000, 1)
    return alert_url


async def explained(url: str, query: str, *arguments: object) -> Plan:
    async with recording(url) as database, database.connection() as connection:
        return await plan_of(connection, query, *arguments)


@pytest.mark.parametrize(
    ("looks", "index", "expected"),
    [
        (SCHEDULE_LOOKS, "schedules_by_look", {"schedules_pkey", "host_signs_pkey"}),
        (HOST_LOOKS, "host_signs_by_look", {"host_signs_pkey"}),
        (RISE_LOOKS, "source_groups_by_rise_look", {"source_groups_pkey"}),
    ],
    ids=lambda value: value.table if isinstance(value, Looks) else "",
)
async def test_a_claim_reads_what_is_due_from_the_index_in_its_order(
    many: str, looks: Looks, index: str, expected: set[str]
) -> None:
    now = LATER if looks is HOST_LOOKS else NOW
    plan = await explained(many, looks.claim, now, now + LEASE, 500)

    assert {index, *expected} == plan.indexes
    assert set() == plan.scanned_whole
    assert not plan.is_sorted
    assert 500 == plan.root["Actual Rows"]
    assert plan.rows_met <= 4 * 500


async def test_a_claim_with_nothing_due_meets_no_row(many: str) -> None:
    before = NOW - timedelta(microseconds=1)

    plan = await explained(many, SCHEDULE_LOOKS.claim, before, before + LEASE, 500)

    assert "schedules_by_look" in plan.indexes
    assert 0 == plan.rows_met


async def test_the_alerts_that_outlived_their_roots_are_found_among_those_that_stand(
    many: str,
) -> None:
    plan = await explained(many, suppressions.OUTLIVED, NOW, 500)

    assert 1 == plan.root["Actual Rows"]
    assert set() == plan.scanned_whole
    assert plan.rows_met <= 8


async def test_floods_are_found_among_the_alerts_that_stand(many: str) -> None:
    found = await explained(many, floods.FLOODED)
    counted = await explained(many, floods.COUNT, ["resolved-1", "resolved-9"], 1_000)

    assert set() == found.scanned_whole | counted.scanned_whole
    assert found.rows_met <= 4


async def test_old_jobs_are_purged_by_the_index_of_their_age(many: str) -> None:
    plan = await explained(many, job_retention.PURGE, START + timedelta(seconds=500.5), 1_000)

    assert {"jobs_by_age", "jobs_pkey"} == plan.indexes
    assert set() == plan.scanned_whole
    assert plan.rows_met <= 2 * 500


async def test_a_thousand_due_among_two_hundred_thousand_take_as_many_statements_as_one(
    many: str, few: str
) -> None:
    """Two full batches, each of as many statements as one that finds a single schedule due."""
    alone = await swept(few)
    thousand = await swept(many)

    assert [NOW] == alone.raised
    assert [NOW] * DUE == thousand.raised
    assert [REST] == alone.rests
    assert [timedelta(), timedelta(), REST] == thousand.rests
    queries = [statement.query for statement in alone.statements]
    # The last claim finds nothing.
    assert [*queries, *queries, queries[0]] == [each.query for each in thousand.statements]
    await assert_on_indexes(many, thousand.statements)


async def test_a_report_takes_the_same_statements_with_many_hosts_as_with_few(
    many: str, few: str
) -> None:
    with_few = await reported(few, "000050")
    with_many = await reported(many, "050000")

    assert [each.query for each in with_few] == [each.query for each in with_many]
    await assert_on_indexes(many, with_many)


class Swept(NamedTuple):
    """What a sweep of the schedules did until it rested."""

    rests: list[timedelta]
    statements: list[Statement]
    raised: list[datetime]


async def swept(url: str) -> Swept:
    """Sweep the schedules of a database, until there is nothing left to do."""
    clock = ManualClock(NOW)
    rests = [timedelta()]
    async with recording(url) as database, running_ledger(database, clock=clock) as ledger:
        sweep = Sweeps(database, ledger, clock).deadlines(SCHEDULE_LOOKS, MissRun)
        database.statements.clear()
        while not rests[-1]:
            rests.append(await sweep.step())
        statements = list(database.statements)
        async with database.connection() as connection:
            raised = await connection.fetch(
                "SELECT raise_time FROM alerts WHERE kind = $1", STALE_SCHEDULE
            )
    return Swept(rests[1:], statements, [row[0] for row in raised])


async def reported(url: str, number: str) -> list[Statement]:
    """Report a run that fails, one that succeeds and a heartbeat of one host."""
    clock = ManualClock(NOW)
    async with recording(url) as database, running_ledger(database, clock=clock) as ledger:
        for command in reports(number):
            await ledger.submit_many([command])
        return database.statements


def reports(number: str) -> list[BackupCommand]:
    host, group = f"host-{number}", f"group-{number}"
    reading = read_clock(NOW, NOW)
    first, second = (
        Job(f"{job}-{number}", host, JobKind.BACKUP, group, "repository", f"schedule-{number}-1")
        for job in ("first", "second")
    )
    failed = JobFinished(first, JobResult.FAILED, at(58), at(57), exit_code=1)
    succeeded = JobFinished(second, JobResult.SUCCEEDED, at(60), at(59), exit_code=0)
    return [
        StartJob(JobStarted(first, at(57)), reading, ORCHESTRATOR),
        FinishJob(failed, reading, ORCHESTRATOR, b"failed"),
        FinishJob(succeeded, reading, ORCHESTRATOR, b"succeeded"),
        Hear(host, reading, ORCHESTRATOR),
    ]


async def assert_on_indexes(url: str, statements: list[Statement]) -> None:
    """No statement would read a large table whole."""
    async with recording(url) as database, database.connection() as connection:
        for query, arguments in dict(statements).items():
            plan = await plan_of(connection, query, *arguments, run=False)
            assert set() == plan.scanned_whole.intersection(LARGE), query
