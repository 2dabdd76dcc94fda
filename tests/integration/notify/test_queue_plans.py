"""What is finished costs the queue nothing: its queries stay on their indexes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.alert_stubs import an_alert, an_event
from support.notify_ground import AGAIN, OK, Ground
from support.statements import Plan, RecordingDatabase, plan_of
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_ACKNOWLEDGED
from tocsin.common.clock import SystemClock
from tocsin.notify.delivery import statements
from tocsin.notify.delivery.settle_statements import SETTLE, SETTLE_DELIVERED

if TYPE_CHECKING:
    from uuid import UUID

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

# The tables that grow with what is delivered.
GROWING = {"deliveries", "inbox_events", "tellings", "attempts"}

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


async def fill(ground: Ground, channel_id: UUID, finished: int) -> None:
    async with ground.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(FILL, channel_id, finished, timeout=300)
    await ground.rows(f"ANALYZE {', '.join(GROWING)}")


async def work(ground: Ground, channel_id: UUID) -> None:
    """Take in, claim, settle, put off and hold a few."""
    queue = ground.queue()
    await ground.raised(*range(1, 40))
    claims = await queue.claim(channel_id, 10)
    await ground.take_in(*[an_event(ground.next(), an_alert(n), 2) for n in range(1, 20)])
    receipts = [OK, AGAIN] * 5
    await asyncio.gather(*map(queue.settle, claims, receipts))
    await queue.claim(channel_id, 10)
    await queue.reclaim_lost()
    await queue.next_due(channel_id)


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
            # What inserts has done so: a second time it would be refused.
            is_run = not query.lstrip().startswith("INSERT")
            plan = await plan_of(connection, query, *arguments, run=is_run)
            assert set() == plan.scanned_whole & GROWING, query
            assert not is_run or rows_met(plan) < 1_000, query
    await database.close()


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
