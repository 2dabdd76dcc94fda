"""What waits for its turn: new deliveries take the place of older ones of their alert.

Whoever addresses anything to a channel goes through here, inside a transaction of its own. The
locks are taken in the order that holds everywhere: channels, tellings, deliveries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.notice import message_type
from tocsin.notify.store import tellings
from tocsin.notify.store.collapse import Waiting, collapse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.store.collapse import NewDelivery, Placed
    from tocsin.notify.store.tellings import Pair

# States are written as numbers so that the partial indexes serve: 1 PENDING, 6 HELD.
_WAITING = """
SELECT d.delivery_id, d.channel_id, d.alert_id, d.state, d.next_attempt_time, d.collapsed_count,
       i.type
  FROM unnest($1::uuid[], $2::uuid[]) AS given (channel_id, alert_id)
  JOIN deliveries d ON d.channel_id = given.channel_id AND d.alert_id = given.alert_id
   AND d.state IN (1, 6) AND d.carried_by IS NULL
  JOIN inbox_events i ON i.event_id = d.event_id
 ORDER BY d.delivery_id
   FOR UPDATE OF d
"""

# 7 is SUPERSEDED, 30 COLLAPSED.
_SUPERSEDE = """
UPDATE deliveries d
   SET state = 7, state_reason = '', reason = 30, held_by = given.newer, next_attempt_time = NULL,
       settle_time = $3
  FROM unnest($1::uuid[], $2::uuid[]) AS given (delivery_id, newer)
 WHERE d.delivery_id = given.delivery_id
"""

_ADD = """
INSERT INTO deliveries (delivery_id, event_id, channel_id, alert_id, sequence, state, state_reason,
                        attempt_count, retry_count, maybe_told, next_attempt_time, reason, held_by,
                        route_id, follows, group_key, collapsed_count, expire_time, create_time,
                        settle_time)
SELECT delivery_id, event_id, channel_id, alert_id, sequence,
       CASE WHEN newer IS NULL THEN 1 ELSE 7 END, '', 0, 0, false,
       CASE WHEN newer IS NULL THEN due END, CASE WHEN newer IS NULL THEN 0 ELSE 30 END, newer,
       route_id, follows, group_key, collapsed_count, expire_time, $13,
       CASE WHEN newer IS NOT NULL THEN $13::timestamptz END
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::timestamptz[],
              $7::uuid[], $8::uuid[], $9::boolean[], $10::text[], $11::integer[],
              $12::timestamptz[])
       AS given (delivery_id, event_id, channel_id, alert_id, sequence, due, newer, route_id,
                 follows, group_key, collapsed_count, expire_time)
"""

# In the order in which everybody locks deliveries.
_WAKE = """
WITH held AS (
    SELECT delivery_id FROM deliveries
     WHERE held_by = $1 AND state = 6 AND carried_by IS NULL
     ORDER BY delivery_id FOR UPDATE
), woken AS (
    UPDATE deliveries d SET next_attempt_time = $2
      FROM held WHERE d.delivery_id = held.delivery_id
    RETURNING 1
)
SELECT count(*) FROM woken
"""


async def address(
    connection: asyncpg.Connection, rows: Sequence[NewDelivery], now: datetime
) -> int:
    """Put new deliveries in line, in the order of `rows`, and return how many were made.

    At most one delivery of an alert waits for a channel: an older one ends as SUPERSEDED. What is
    being sent or carried by a digest is not touched; the new one waits behind it. Their events are
    in the inbox, and their channels locked against deletion, by the same transaction.
    """
    if not rows:
        return 0
    pairs = sorted({row.pair for row in rows})
    made, present = await tellings.make_and_lock(connection, pairs)
    before = made | present
    plan = collapse(rows, await _waiting(connection, list(present)), before, now)
    if plan.superseded:
        columns = map(list, zip(*plan.superseded, strict=True))
        await connection.execute(_SUPERSEDE, *columns, now)
    if plan.placed:
        columns = map(list, zip(*map(_columns, plan.placed), strict=True))
        await connection.execute(_ADD, *columns, now)
    changed = [telling for pair, telling in plan.tellings.items() if telling != before[pair]]
    await tellings.save(connection, changed)
    return len(plan.placed)


async def wake_held_by(connection: asyncpg.Connection, holder: UUID, now: datetime) -> int:
    """Let what a silence or an explaining alert holds be looked at now; return how many."""
    woken: int = await connection.fetchval(_WAKE, holder, now)
    return woken


async def _waiting(connection: asyncpg.Connection, pairs: Sequence[Pair]) -> dict[Pair, Waiting]:
    if not pairs:
        return {}
    columns = [list(column) for column in zip(*pairs, strict=True)]
    return {
        (row["channel_id"], row["alert_id"]): Waiting(
            row["delivery_id"],
            message_type(row["type"]),
            DeliveryState(row["state"]),
            row["next_attempt_time"],
            row["collapsed_count"],
        )
        for row in await connection.fetch(_WAITING, *columns)
    }


def _columns(placed: Placed) -> tuple[object, ...]:
    new = placed.new
    return (
        new.delivery_id,
        new.event_id,
        new.channel_id,
        new.alert_id,
        new.sequence,
        placed.next_attempt_time,
        placed.superseded_by,
        new.route_id,
        new.follows,
        new.group_key,
        placed.collapsed_count,
        new.expire_time,
    )
