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
from tocsin.notify.store.columns import columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.telling import Telling
    from tocsin.notify.store.collapse import NewDelivery, Placed
    from tocsin.notify.store.tellings import Pair

# Each is one round trip; migrations/versions/notify0006_queue_functions.py has their text.
_STAND_IN_LINE = "SELECT * FROM stand_in_line_1($1, $2)"
_ADDRESS = f"SELECT address_1({', '.join(f'${place}' for place in range(1, 23))})"

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
    before, waiting = await _in_line(connection, sorted({row.pair for row in rows}))
    plan = collapse(rows, waiting, before, now)
    changed = [telling for pair, telling in plan.tellings.items() if telling != before[pair]]
    if plan.placed or changed:
        await connection.execute(
            _ADDRESS,
            now,
            *columns_of(plan.superseded, 2),
            *columns_of([_delivery_columns(placed) for placed in plan.placed], 12),
            *columns_of([_telling_columns(telling) for telling in changed], 7),
        )
    return len(plan.placed)


async def wake_held_by(connection: asyncpg.Connection, holder: UUID, now: datetime) -> int:
    """Let what a silence or an explaining alert holds be looked at now; return how many."""
    woken: int = await connection.fetchval(_WAKE, holder, now)
    return woken


async def _in_line(
    connection: asyncpg.Connection, pairs: Sequence[Pair]
) -> tuple[dict[Pair, Telling], dict[Pair, Waiting]]:
    """Lock the tellings of these pairs, in this order, and return them with what waits for them."""
    rows = await connection.fetch(_STAND_IN_LINE, *columns_of(pairs, 2))
    found = {(row["channel_id"], row["alert_id"]): tellings.telling_of(row) for row in rows}
    waiting = {
        (row["channel_id"], row["alert_id"]): Waiting(
            row["delivery_id"],
            message_type(row["type"]),
            DeliveryState(row["state"]),
            row["next_attempt_time"],
            row["collapsed_count"],
        )
        for row in rows
        if row["delivery_id"] is not None
    }
    return found, waiting


def _telling_columns(telling: Telling) -> tuple[object, ...]:
    return (
        telling.channel_id,
        telling.alert_id,
        telling.route_id,
        telling.group_key,
        telling.is_over,
        telling.reminder_count,
        telling.next_reminder_time,
    )


def _delivery_columns(placed: Placed) -> tuple[object, ...]:
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
