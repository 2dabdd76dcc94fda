"""What is finished costs the queue nothing: its queries stay on their indexes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.notify_ground import AGAIN, Ground
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_ACKNOWLEDGED
from tocsin.common.clock import SystemClock
from tocsin.notify.delivery import statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

FINISHED = 100_000

# Without the checks of foreign keys, which would take most of the time.
FILL = """
INSERT INTO deliveries (delivery_id, event_id, channel_id, alert_id, sequence, state, state_reason,
                        attempt_count, retry_count, maybe_told, create_time, settle_time)
SELECT id, id, $1, id, -n, 3, '', 1, 0, true, now(), now()
  FROM generate_series(1, $2::integer) n, LATERAL (SELECT lpad(to_hex(n), 32, '0')::uuid) made (id)
"""


@pytest.fixture
async def filled(notify_database: Database) -> UUID:
    """A channel with many finished deliveries, a few that are due and a few under way."""
    ground = Ground(notify_database, SystemClock())
    channel_id = await ground.channel()
    async with notify_database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(FILL, channel_id, FINISHED)
    await ground.raised(*range(1, 40))
    await ground.queue().claim(channel_id, 10)
    await ground.rows("ANALYZE deliveries")
    await ground.rows("ANALYZE inbox_events")
    return channel_id


async def plan_of(database: Database, query: str, *arguments: object) -> dict[str, Any]:
    """Run a query and return the plan it took."""
    async with database.connection() as connection:
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    plans = json.loads(text) if isinstance(text, str) else text
    plan: dict[str, Any] = plans[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def indexes(plan: dict[str, Any]) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def rows_looked_at(plan: dict[str, Any]) -> int:
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan)
        if "Relation Name" in node
    )


async def test_the_queue_reads_what_is_to_be_done_and_nothing_that_is_finished(
    filled: UUID, notify_database: Database
) -> None:
    now = SystemClock().now()
    queries: list[tuple[str, str, list[object]]] = [
        ("deliveries_due", statements.DUE, [filled, now, 8]),
        ("deliveries_due", statements.NEXT_DUE, [filled, now]),
        ("deliveries_by_lease", statements.LOST, [now, 100]),
    ]
    for index, query, arguments in queries:
        plan = await plan_of(notify_database, query, *arguments)
        assert index in indexes(plan)
        assert rows_looked_at(plan) < 1_000


async def test_what_waits_behind_retries_is_not_looked_at_until_then(
    notify_database: Database, clock: ManualClock
) -> None:
    ground = Ground(notify_database, clock)
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(*range(1, 151))
    for number in range(1, 151):
        await ground.changed(number, ALERT_EVENT_TYPE_ACKNOWLEDGED)
    claims = await queue.claim(channel_id, 150)
    await asyncio.gather(*(queue.settle(claim, AGAIN) for claim in claims))
    for number in range(1, 151):
        await ground.resolved(number)
    await ground.raised(151)
    await ground.rows("ANALYZE deliveries")

    plan = await plan_of(notify_database, statements.DUE, channel_id, clock.now(), 8)

    assert 10 > rows_looked_at(plan)
