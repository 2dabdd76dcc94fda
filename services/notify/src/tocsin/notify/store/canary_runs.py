"""The synthetic alerts that prove the whole way, the latest runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

KEPT_FOR = timedelta(days=7)

# 'canary', as ASCII; any number that nothing else in this database takes.
_LOCK = 0x63616E617279

_LOCKED = "SELECT pg_advisory_xact_lock($1)"

_CHANNEL = """
SELECT channel_id FROM channels
 WHERE delete_time IS NULL AND (display_name = $1 OR channel_id::text = lower($1))
"""

_LATEST = "SELECT * FROM canary_runs ORDER BY start_time DESC LIMIT 1"

_BEGIN = """
INSERT INTO canary_runs (run_id, start_time, problem)
SELECT $1, $2, '' WHERE NOT EXISTS (SELECT FROM canary_runs WHERE start_time > $3)
RETURNING true
"""

_FORGET = "DELETE FROM canary_runs WHERE start_time < $1"

_RAISED = "UPDATE canary_runs SET alert_id = $2 WHERE run_id = $1"

_PROBLEM = "UPDATE canary_runs SET problem = $2 WHERE run_id = $1"

# 3 is DELIVERED.
_DELIVERED = """
SELECT min(settle_time) FROM deliveries WHERE alert_id = $1 AND channel_id = $2 AND state = 3
"""

_ARRIVED = """
UPDATE canary_runs SET arrive_time = $2, problem = '' WHERE run_id = $1 AND arrive_time IS NULL
RETURNING true
"""

_HEARTBEAT = "UPDATE canary_runs SET heartbeat_time = $2 WHERE run_id = $1"

_STAGE = """
SELECT EXISTS (SELECT FROM decisions WHERE alert_id = $1) AS is_addressed_to_nobody,
       d.state, d.state_reason
  FROM (SELECT) one
  LEFT JOIN LATERAL (SELECT * FROM deliveries WHERE alert_id = $1 AND channel_id = $2
                      ORDER BY sequence LIMIT 1) d ON true
"""


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """One run. `alert_id` is None until the alert service took it, the times until it came."""

    run_id: UUID
    alert_id: UUID | None
    start_time: datetime
    arrive_time: datetime | None
    heartbeat_time: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a canary came in notify. `state` is that of its delivery, None without one."""

    is_addressed_to_nobody: bool
    state: int | None
    state_reason: str


async def channel_of(connection: asyncpg.Connection, named: str) -> UUID | None:
    """Return the channel of that name or id, None when there is none."""
    found: UUID | None = await connection.fetchval(_CHANNEL, named)
    return found


async def latest(connection: asyncpg.Connection) -> CanaryRun | None:
    """Return the run that was begun last."""
    row = await connection.fetchrow(_LATEST)
    return None if row is None else CanaryRun(**row)


async def begin(
    connection: asyncpg.Connection, run_id: UUID, now: datetime, period: timedelta
) -> bool:
    """Begin a run, in a transaction of the caller's, and forget old ones.

    Returns False when another process has begun one within the period.
    """
    await connection.execute(_LOCKED, _LOCK)
    begun = await connection.fetchval(_BEGIN, run_id, now, now - period)
    if begun:
        await connection.execute(_FORGET, now - KEPT_FOR)
    return bool(begun)


async def note_raised(connection: asyncpg.Connection, run_id: UUID, alert_id: UUID) -> None:
    """Note which alert the canary is."""
    await connection.execute(_RAISED, run_id, alert_id)


async def note_problem(connection: asyncpg.Connection, run_id: UUID, problem: str) -> None:
    """Note why it has not arrived."""
    await connection.execute(_PROBLEM, run_id, problem)


async def delivered_time(
    connection: asyncpg.Connection, alert_id: UUID, channel_id: UUID
) -> datetime | None:
    """Return when the channel accepted a canary, None when it has not."""
    time: datetime | None = await connection.fetchval(_DELIVERED, alert_id, channel_id)
    return time


async def note_arrived(connection: asyncpg.Connection, run_id: UUID, time: datetime) -> bool:
    """Note that it arrived; return False when another process has."""
    return bool(await connection.fetchval(_ARRIVED, run_id, time))


async def note_heartbeat(connection: asyncpg.Connection, run_id: UUID, time: datetime) -> None:
    """Note that its heartbeat was sent."""
    await connection.execute(_HEARTBEAT, run_id, time)


async def stage_of(connection: asyncpg.Connection, alert_id: UUID, channel_id: UUID) -> Stage:
    """Return how far a canary came."""
    row = await connection.fetchrow(_STAGE, alert_id, channel_id)
    return Stage(row["is_addressed_to_nobody"], row["state"], row["state_reason"] or "")
