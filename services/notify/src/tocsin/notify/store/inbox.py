"""The inbox: events are taken in, and the position moves on, in one transaction.

Each function is a part of one transaction of the follower's, on its asyncpg connection.
`advance` comes first: its lock on the one row of the position keeps a second follower out until
the commit, so that `inbox_events.sequence` grows in commit order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.notification import Notification


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where the stream has been taken in."""

    epoch: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """One event as it is kept: its document, or why it has none and the raw event.

    `notification` is what the document was made from.
    """

    event_id: UUID
    epoch: UUID
    revision: int
    synthetic: bool
    type: int
    alert_id: UUID | None
    document: dict[str, Any] | None
    quarantine_reason: str | None = None
    quarantined_payload: bytes | None = None
    notification: Notification | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A new event that can be told, with its place in the order of all events."""

    sequence: int
    notification: Notification


class CursorMovedError(Exception):
    """Somebody else has moved the position: what was read after the old one is theirs."""


_READ = "SELECT epoch, revision FROM follower_position"

_BEGIN = """
INSERT INTO follower_position (epoch, revision, update_time) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true
"""

_ADVANCE = """
UPDATE follower_position
   SET epoch = $3, revision = $4, update_time = $5,
       caught_up_time = CASE WHEN $6 THEN $5 ELSE caught_up_time END
 WHERE epoch = $1 AND revision = $2
RETURNING true
"""

# The order of the input is the order of the sequence.
_ADD = """
INSERT INTO inbox_events (event_id, epoch, revision, synthetic, type, alert_id, document,
                          quarantine_reason, quarantined_payload, receive_time)
SELECT event_id, epoch, revision, synthetic, type, alert_id, document::jsonb,
       quarantine_reason, quarantined_payload, $10
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::boolean[], $5::smallint[], $6::uuid[],
              $7::text[], $8::text[], $9::bytea[])
       WITH ORDINALITY
       AS given (event_id, epoch, revision, synthetic, type, alert_id, document,
                 quarantine_reason, quarantined_payload, place)
 ORDER BY place
    ON CONFLICT (event_id) DO NOTHING
RETURNING event_id, sequence
"""

# The lock keeps a channel from being deleted between this look at it and the commit.
_CHANNELS = """
SELECT channel_id, enabled FROM channels WHERE delete_time IS NULL
 ORDER BY channel_id FOR SHARE
"""

_CAUGHT_UP = """
UPDATE follower_position SET caught_up_time = $3 WHERE epoch = $1 AND revision = $2
"""

_READ_CAUGHT_UP = "SELECT caught_up_time FROM follower_position"


async def read_cursor(connection: asyncpg.Connection) -> Cursor | None:
    """Return up to where events were taken in, None before the first start."""
    row = await connection.fetchrow(_READ)
    return None if row is None else Cursor(row["epoch"], row["revision"])


async def begin_at(connection: asyncpg.Connection, cursor: Cursor, now: datetime) -> None:
    """Set the first position. Raises CursorMovedError when there is one already."""
    if not await connection.fetchval(_BEGIN, cursor.epoch, cursor.revision, now):
        raise CursorMovedError


async def advance(
    connection: asyncpg.Connection,
    before: Cursor,
    after: Cursor,
    now: datetime,
    *,
    caught_up: bool = False,
) -> None:
    """Move the position from `before` to `after`, and note that it is all there is if it is.

    Raises CursorMovedError unless the position is at `before`.
    """
    places = (before.epoch, before.revision, after.epoch, after.revision)
    if not await connection.fetchval(_ADVANCE, *places, now, caught_up):
        raise CursorMovedError


async def note_caught_up(connection: asyncpg.Connection, at: Cursor, now: datetime) -> None:
    """Note that all there is has been taken in; nothing is noted when the position is elsewhere."""
    await connection.execute(_CAUGHT_UP, at.epoch, at.revision, now)


async def read_caught_up(connection: asyncpg.Connection) -> datetime | None:
    """Return when some replica last knew that all there is was taken in, None for never."""
    caught_up: datetime | None = await connection.fetchval(_READ_CAUGHT_UP)
    return caught_up


async def add(
    connection: asyncpg.Connection, events: Sequence[InboxEvent], now: datetime
) -> list[Taken]:
    """Keep what is new among the events; return what of it can be told, in its order."""
    if not events:
        return []
    rows = await connection.fetch(_ADD, *_columns(events), now)
    sequences = {row["event_id"]: row["sequence"] for row in rows}
    taken = [
        Taken(sequences.pop(event.event_id), event.notification)
        for event in events
        if event.event_id in sequences and event.notification is not None
    ]
    return sorted(taken, key=lambda each: each.sequence)


async def lock_channels(connection: asyncpg.Connection) -> dict[UUID, bool]:
    """Keep the channels from being deleted until the commit; return which are enabled."""
    return {row["channel_id"]: row["enabled"] for row in await connection.fetch(_CHANNELS)}


def _columns(events: Sequence[InboxEvent]) -> list[list[Any]]:
    rows = [
        (
            event.event_id,
            event.epoch,
            event.revision,
            event.synthetic,
            event.type,
            event.alert_id,
            None if event.document is None else json.dumps(event.document, ensure_ascii=False),
            event.quarantine_reason,
            event.quarantined_payload,
        )
        for event in events
    ]
    return [list(column) for column in zip(*rows, strict=True)]
