"""How each channel does, and whether the alert service was told that it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.domain.health import BreakerState

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

# 3 is DELIVERED, 5 DEAD; 34 REFUSED, 35 ATTEMPTS_EXHAUSTED, 36 CHANNEL_GONE.
_READ = """
SELECT c.channel_id, c.display_name, c.enabled, c.disabled_reason,
       c.delete_time IS NOT NULL AS deleted, coalesce(s.failure_raised, false) AS raised,
       coalesce(s.breaker, 1) AS breaker, s.failing_since, coalesce(s.last_error, '') AS last_error,
       dead.settle_time AS dead_time, coalesce(dead.state_reason, '') AS dead_reason,
       greatest(c.update_time, s.last_success_time, delivered.time) AS worked_time
  FROM channels c
  LEFT JOIN channel_states s ON s.channel_id = c.channel_id
  LEFT JOIN LATERAL (
      SELECT d.settle_time, d.state_reason FROM deliveries d
       WHERE d.channel_id = c.channel_id AND d.state IN (5, 8) AND d.reason IN (34, 35, 36)
       ORDER BY d.settle_time DESC LIMIT 1
  ) dead ON true
  LEFT JOIN LATERAL (
      SELECT max(latest.settle_time) AS time
        FROM (SELECT d.state, d.settle_time FROM deliveries d WHERE d.channel_id = c.channel_id
               ORDER BY d.delivery_id DESC LIMIT 200) latest
       WHERE latest.state = 3
  ) delivered ON dead.settle_time IS NOT NULL
 WHERE c.delete_time IS NULL OR s.failure_raised
 ORDER BY c.channel_id
"""

_NOTE = """
INSERT INTO channel_states (channel_id, failure_raised) VALUES ($1, $2)
ON CONFLICT (channel_id) DO UPDATE SET failure_raised = excluded.failure_raised
"""


@dataclass(frozen=True, slots=True)
class WatchedChannel:
    """One channel. `raised`: the alert service was told that it fails.

    `failing_since` is when the first failure of the present row came. `dead_time` is when
    something was given up last, `worked_time` when something was accepted, or the channel changed.
    """

    channel_id: UUID
    display_name: str
    enabled: bool
    disabled_reason: str
    deleted: bool
    raised: bool
    breaker: BreakerState
    failing_since: datetime | None
    last_error: str
    dead_time: datetime | None
    dead_reason: str
    worked_time: datetime


async def read(connection: asyncpg.Connection) -> list[WatchedChannel]:
    """Return all channels, and those that were deleted while they failed."""
    return [
        WatchedChannel(**{**row, "breaker": BreakerState(row["breaker"])})
        for row in await connection.fetch(_READ)
    ]


async def note_raised(connection: asyncpg.Connection, channel_id: UUID, *, raised: bool) -> None:
    """Note that the alert service was told that a channel fails, or that it works again."""
    await connection.execute(_NOTE, channel_id, raised)
