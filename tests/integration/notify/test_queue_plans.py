"""What is finished costs the queue nothing: its queries stay on their indexes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert_stubs import an_alert, an_event
from support.notify_ground import AGAIN, OK, Ground
from support.statements import Plan, RecordingDatabase, plan_of
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_ACKNOWLEDGED
from tocsin.common.clock import SystemClock
from tocsin.common.postgres.engine import Database
from tocsin.notify.delivery import statements
from tocsin.notify.delivery.settle_statements import SETTLE, SETTLE_DELIVERED
from tocsin.notify.domain.flap import FlapRule

if TYPE_CHECKING:
    from uuid import UUID

    from support.clock import ManualClock
    from tocsin.notify.domain.delivery import Receipt

pytestmark = pytest.mark.postgres

# The tables that grow with what is delivered.
GROWING = {"deliveries", "inbox_events", "tellings", "attempts"}
# Read by the functions too, and grown by what was raised lately, or is open.
ALSO = {"flaps", "known_alerts"}

# What was delivered long ago, with the checks of foreign keys left out: they would take most of
# the time. 3 is DELIVERED.
FILL = """
WITH made AS (
    SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id FROM generate_series(1, $2::integer) n
), events AS (
    INSERT INTO inbox_events (event_id, epoch, revision, synthetic, type, alert_id, document,
                              receive_time)
    SELECT id, id, n, false, 1, id, '{}', now() FROM made
), told AS (
    INSERT INTO tellings (channel_id, alert_id, group_key, maybe_told, is_over, reminder_count)
    SELECT $1, id, '', true, true, 0 FROM made
), tried AS (
    INSERT INTO attempts (delivery_id, number, start_time, finish_time, outcome, status_code,
                          detail)
    SELECT id, 1, now(), now(), 1, 204, '' FROM made
)
INSERT INTO deliveries (delivery_id, event_id, channel_id, alert_id, sequence, state, state_reason,
                        attempt_count, retry_count, maybe_told, create_time, settle_time)
SELECT id, id, $1, id, -n, 3, '', 1, 0, true, now(), now() FROM made
"""


FILL_ALSO = (
    """
INSERT INTO flaps (host_id, kind, dedup_key, raise_times, until_time)
SELECT 'host-' || n, 'backup_failed', '', '{}', now() + interval '1 day'
  FROM generate_series(1, $1) n
""",
    """
INSERT INTO known_alerts (alert_id, version, payload)
SELECT gen_random_uuid(), 1, '' FROM generate_series(1, $1)
""",
)

# What waits for later, as much as a storm leaves.
WAIT = """
WITH made AS (
    UPDATE deliveries SET state = 1, next_attempt_time = now() + interval '1 day'
     WHERE channel_id = $1 AND sequence < -10000
    RETURNING 1
)
SELECT count(*) FROM made
"""

READ = """
SELECT relname, seq_tup_read + idx_tup_read
  FROM pg_stat_user_tables
  JOIN (SELECT relid, sum(idx_tup_read) AS idx_tup_read FROM pg_stat_user_indexes GROUP BY relid)
       AS indexes USING (relid)
 WHERE relname = ANY($1)
"""


async def fill(ground: Ground, channel_id: UUID, finished: int) -> None:
    async with ground.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for statement in FILL_ALSO:
            await connection.execute(statement, 20_000)
        await connection.execute(FILL, channel_id, finished, timeout=300)


async def analyze(ground: Ground) -> None:
    await ground.rows(f"ANALYZE {', '.join(GROWING)}")


async def work(ground: Ground, channel_id: UUID, first: int = 1, *, end: Receipt = AGAIN) -> None:
    """Take in, claim and settle a few, half of them with `end`, and hold some."""
    queue = ground.queue()
    await ground.raised(*range(first, first + 39))
    claims = await queue.claim(channel_id, 10)
    news = [an_event(ground.next(), an_alert(n), 2) for n in range(first, first + 19)]
    await ground.take_in(*news)
    receipts = [OK, end] * 5
    await asyncio.gather(*map(queue.settle, claims, receipts))
    await queue.claim(channel_id, 10)
    await queue.reclaim_lost()
    await queue.next_due(channel_id)


async def read(database: Database) -> dict[str, int]:
    """How many rows and entries of indexes were read of each growing table, by all sessions."""
    async with database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        rows = await connection.fetch(READ, [*GROWING, *ALSO])
    return {row[0]: int(row[1]) for row in rows}


def rows_met(plan: Plan) -> int:
    """How many rows of the growing tables were met, those that a filter removed included."""
    return sum(
        round(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in plan.nodes
        if node.get("Relation Name") in GROWING
    )


@pytest.mark.parametrize(
    "finished", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
async def test_the_queue_reads_what_is_to_be_done_and_nothing_that_is_finished(
    notify_url: str, finished: int
) -> None:
    database = RecordingDatabase(notify_url)
    ground = Ground(database, SystemClock())
    channel_id = await ground.channel()
    await fill(ground, channel_id, finished)
    await analyze(ground)
    database.statements.clear()
    await work(ground, channel_id)

    asked = {each.query: each.arguments for each in database.statements}
    assert {
        statements.DUE,
        statements.LEASE,
        SETTLE,
        SETTLE_DELIVERED,
        statements.LOST,
    } <= asked.keys()
    async with database.connection() as connection:
        for query, arguments in asked.items():
            if "_1(" in query:
                continue  # what happens in functions no plan tells: see below
            # What inserts has done so: a second time it would be refused.
            is_run = not query.lstrip().startswith("INSERT")
            plan = await plan_of(connection, query, *arguments, run=is_run)
            assert set() == plan.scanned_whole & GROWING, query
            assert not is_run or rows_met(plan) < 1_000, query
    await database.close()


@pytest.mark.parametrize("analyzed", [False, True], ids=["unknown", "known to be small"])
async def test_the_kept_plans_of_its_functions_serve_when_the_tables_have_grown(
    notify_url: str, notify_database: Database, analyzed: bool
) -> None:
    """They were made while there was next to nothing, and the session keeps them."""
    filling = Ground(notify_database, SystemClock())
    channel_id = await filling.channel()
    alone = Database(notify_url, application_name="tests", pool_size=1)
    rule = FlapRule(raises=6, window=timedelta(hours=1), calm=timedelta(hours=1))
    ground = Ground(alone, SystemClock(), rule)
    await work(ground, channel_id)
    if analyzed:
        await analyze(filling)
        await work(ground, channel_id, first=50)
    await fill(filling, channel_id, 20_000)
    await filling.rows(WAIT, channel_id)
    before = await read(notify_database)

    await work(ground, channel_id, first=100, end=OK)

    await alone.close()  # a session that ends tells what it has read
    after = await read(notify_database)
    met = {table: after[table] - before[table] for table in after}
    assert {} == {table: rows for table, rows in met.items() if rows > 5_000}, met


async def test_the_news_of_one_alert_to_other_channels_are_not_looked_at_for_each_of_them(
    notify_url: str, notify_database: Database
) -> None:
    alone = Database(notify_url, application_name="tests", pool_size=1)
    ground = Ground(alone, SystemClock())
    channel_ids = [await ground.channel() for _ in range(30)]
    for _ in range(30):
        await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)
    before = await read(alone)

    await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)
    for channel_id in channel_ids:
        await ground.queue().claim(channel_id, 1)

    await alone.close()  # a session that ends tells what it has read
    met = (await read(notify_database))["deliveries"] - before["deliveries"]
    assert 15_000 > met


async def test_what_waits_behind_retries_is_not_looked_at_until_then(
    notify_database: Database, clock: ManualClock
) -> None:
    ground = Ground(notify_database, clock)
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(*range(1, 151))
    claims = await queue.claim(channel_id, 150)
    for number in range(1, 151):
        await ground.changed(number, ALERT_EVENT_TYPE_ACKNOWLEDGED)
    await asyncio.gather(*(queue.settle(claim, AGAIN) for claim in claims))
    for number in range(1, 151):
        await ground.resolved(number)
    await ground.raised(151)
    await ground.rows("ANALYZE deliveries")

    async with notify_database.connection() as connection:
        plan = await plan_of(connection, statements.DUE, channel_id, clock.now(), 8)

    met = [node for node in plan.nodes if node.get("Relation Name") == "deliveries"]
    assert 10 > sum(node["Actual Rows"] for node in met)
