"""What each channel knows of each alert. Its row is the lock of every decision about the pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.notify.domain.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    import asyncpg

Pair = tuple["UUID", "UUID"]
"""channel_id and alert_id."""

# In the order of the key, as every lock on tellings is taken.
_ENSURE = """
INSERT INTO tellings (channel_id, alert_id, group_key, maybe_told, is_over, reminder_count)
SELECT channel_id, alert_id, '', false, false, 0
  FROM unnest($1::uuid[], $2::uuid[]) AS given (channel_id, alert_id)
 ORDER BY channel_id, alert_id
    ON CONFLICT DO NOTHING
RETURNING *
"""

_LOCK = """
SELECT t.* FROM tellings t
  JOIN unnest($1::uuid[], $2::uuid[]) AS given (channel_id, alert_id)
    ON t.channel_id = given.channel_id AND t.alert_id = given.alert_id
 ORDER BY t.channel_id, t.alert_id
   FOR UPDATE OF t
"""

_OF_ALERTS = "SELECT * FROM tellings WHERE alert_id = ANY($1::uuid[]) ORDER BY channel_id, alert_id"


async def lock(connection: asyncpg.Connection, pairs: Sequence[Pair]) -> dict[Pair, Telling]:
    """Lock the tellings of these pairs until the end of the transaction, and return them.

    One that is not there yet is made. Locks are taken in the order of the key; take none on
    deliveries before.
    """
    wanted = sorted(set(pairs))
    if not wanted:
        return {}
    made = await _tellings(connection, _ENSURE, wanted)
    others = [pair for pair in wanted if pair not in made]
    return made | (await _tellings(connection, _LOCK, others) if others else {})


async def _tellings(
    connection: asyncpg.Connection, query: str, pairs: Sequence[Pair]
) -> dict[Pair, Telling]:
    columns = [list(column) for column in zip(*pairs, strict=True)]
    tellings = [telling_of(row) for row in await connection.fetch(query, *columns)]
    return {(each.channel_id, each.alert_id): each for each in tellings}


async def of_alerts(connection: asyncpg.Connection, alert_ids: Collection[UUID]) -> list[Telling]:
    """Return what all channels know of these alerts, without a lock."""
    rows = await connection.fetch(_OF_ALERTS, list(alert_ids))
    return [telling_of(row) for row in rows]


def telling_of(row: asyncpg.Record) -> Telling:
    """Return the telling of a row that has all columns of tellings."""
    return Telling(
        channel_id=row["channel_id"],
        alert_id=row["alert_id"],
        route_id=row["route_id"],
        group_key=row["group_key"],
        maybe_told=row["maybe_told"],
        is_over=row["is_over"],
        reminder_count=row["reminder_count"],
        next_reminder_time=row["next_reminder_time"],
    )
