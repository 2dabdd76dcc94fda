"""What is still wrong and was told: when a channel is reminded of it.

Each function is a part of the caller's transaction, which has locked the channels before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.store.documents import alert_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.notification import AlertView

_IS_DUE = "SELECT EXISTS (SELECT FROM tellings WHERE next_reminder_time <= $1)"

_TAKE = """
SELECT t.channel_id, t.alert_id, t.route_id, t.group_key, t.reminder_count, k.document::text
  FROM tellings t LEFT JOIN known_alerts k ON k.alert_id = t.alert_id AND NOT t.is_over
 WHERE t.next_reminder_time <= $1
 ORDER BY t.next_reminder_time, t.channel_id, t.alert_id LIMIT $2
   FOR UPDATE OF t SKIP LOCKED
"""

_SAVE = """
UPDATE tellings t SET reminder_count = given.count, next_reminder_time = given.next
  FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[])
       AS given (channel_id, alert_id, count, next)
 WHERE t.channel_id = given.channel_id AND t.alert_id = given.alert_id
"""


@dataclass(frozen=True, slots=True)
class DueReminder:
    """A channel that may be reminded of an alert now, for the time after `count`.

    `alert` is as it is now, None when it is over.
    """

    channel_id: UUID
    alert_id: UUID
    route_id: UUID | None
    group_key: str
    count: int
    alert: AlertView | None


@dataclass(frozen=True, slots=True)
class NextReminder:
    """How often a channel was reminded, and when it is again; None for never."""

    channel_id: UUID
    alert_id: UUID
    count: int
    time: datetime | None


async def is_due(connection: asyncpg.Connection, now: datetime) -> bool:
    """Return whether there is anything to remind of, without a lock."""
    found: bool = await connection.fetchval(_IS_DUE, now)
    return found


async def take_due(connection: asyncpg.Connection, now: datetime, limit: int) -> list[DueReminder]:
    """Lock what is due, at most `limit`, and return it; what others have locked is left to them."""
    return [
        DueReminder(
            channel_id=row["channel_id"],
            alert_id=row["alert_id"],
            route_id=row["route_id"],
            group_key=row["group_key"],
            count=row["reminder_count"],
            alert=None if row["document"] is None else alert_of(json.loads(row["document"])),
        )
        for row in await connection.fetch(_TAKE, now, limit)
    ]


async def save(connection: asyncpg.Connection, following: Collection[NextReminder]) -> None:
    """Write when what was taken is due again."""
    if following:
        rows = [(each.channel_id, each.alert_id, each.count, each.time) for each in following]
        await connection.execute(_SAVE, *map(list, zip(*rows, strict=True)))
