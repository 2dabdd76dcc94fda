"""Whether channels work: their breakers, what waits for them, and what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.errors import NotFoundError
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.health import Breaker, ChannelHealth
from tocsin.notify.store.channel_states import breaker_of

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from tocsin.common.postgres.engine import Database

MOST_SHOWN = 1_000

_CHANNELS = """
SELECT c.channel_id AS id, c.display_name, s.*
  FROM channels c LEFT JOIN channel_states s ON s.channel_id = c.channel_id
 WHERE c.delete_time IS NULL AND ($1::uuid IS NULL OR c.channel_id = $1)
 ORDER BY c.display_name COLLATE "C"
 LIMIT $2
"""

# States as numbers so that the partial indexes serve: 1 PENDING, 2 SENDING, 6 HELD.
_WAITING = """
SELECT channel_id, count(*) FILTER (WHERE state IN (1, 2)) AS pending,
       count(*) FILTER (WHERE state = 6) AS held,
       min(create_time) FILTER (WHERE state = 1) AS oldest_pending
  FROM deliveries
 WHERE state IN (1, 2, 6) AND channel_id = ANY($1::uuid[])
 GROUP BY channel_id
"""

# 5 is DEAD; the index has EXPIRED (8) too.
_DEAD = """
SELECT channel_id, reason, count(*) AS count
  FROM deliveries
 WHERE state IN (5, 8) AND state = 5 AND channel_id = ANY($1::uuid[])
 GROUP BY channel_id, reason
 ORDER BY count DESC, reason
"""


class ChannelHealthStore:
    """Reads how channels are. Every method raises UnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, channel_id: UUID | None = None) -> list[ChannelHealth]:
        """Return the health of one channel, or of all by their names, at most MOST_SHOWN.

        Raises NotFoundError (CHANNEL_NOT_FOUND).
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CHANNELS, channel_id, MOST_SHOWN)
            if channel_id is not None and not rows:
                raise NotFoundError(f"No channel {channel_id}.", reason="CHANNEL_NOT_FOUND")
            ids = [row["id"] for row in rows]
            waiting = {row["channel_id"]: row for row in await connection.fetch(_WAITING, ids)}
            dead = await _dead(connection, ids)
        return [_health(row, waiting.get(row["id"]), dead.get(row["id"], ())) for row in rows]


async def _dead(
    connection: asyncpg.Connection, ids: list[UUID]
) -> dict[UUID, tuple[tuple[DecisionReason, int], ...]]:
    dead: dict[UUID, tuple[tuple[DecisionReason, int], ...]] = {}
    for row in await connection.fetch(_DEAD, ids):
        counted = (DecisionReason(row["reason"]), row["count"])
        dead[row["channel_id"]] = (*dead.get(row["channel_id"], ()), counted)
    return dead


def _health(
    row: asyncpg.Record,
    waiting: asyncpg.Record | None,
    dead: tuple[tuple[DecisionReason, int], ...],
) -> ChannelHealth:
    return ChannelHealth(
        channel_id=row["id"],
        channel_display_name=row["display_name"],
        breaker=Breaker() if row["breaker"] is None else breaker_of(row),
        pending_count=0 if waiting is None else waiting["pending"],
        held_count=0 if waiting is None else waiting["held"],
        oldest_pending_time=None if waiting is None else waiting["oldest_pending"],
        dead=dead,
    )
