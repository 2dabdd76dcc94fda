"""The inbox: events are taken in, addressed to channels, and the position moves on, all in one.

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

    from tocsin.common.ids import NewId


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where the stream has been taken in."""

    epoch: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """One event as it is kept: its document, or why it has none and the raw event."""

    event_id: UUID
    epoch: UUID
    revision: int
    synthetic: bool
    type: int
    alert_id: UUID | None
    document: dict[str, Any] | None
    quarantine_reason: str | None = None
    quarantined_payload: bytes | None = None


class CursorMovedError(Exception):
    """Somebody else has moved the position: what was read after the old one is theirs."""


_READ = "SELECT epoch, revision FROM follower_position"

_BEGIN = """
INSERT INTO follower_position (epoch, revision, update_time) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true
"""

_ADVANCE = """
UPDATE follower_position SET epoch = $3, revision = $4, update_time = $5
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
RETURNING event_id, alert_id, sequence, document IS NOT NULL AS readable
"""

# The lock keeps a channel from being deleted between this look at it and the commit.
_ADDRESSEES = """
SELECT channel_id FROM channels WHERE enabled AND delete_time IS NULL
 ORDER BY channel_id FOR SHARE
"""

# What comes behind one of the same alert that is tried again later is not due before that one.
_ADDRESS = """
INSERT INTO deliveries (delivery_id, event_id, channel_id, alert_id, sequence, state, state_reason,
                        attempt_count, retry_count, maybe_told, next_attempt_time, create_time)
SELECT delivery_id, event_id, channel_id, alert_id, sequence, 1, '', 0, 0, false,
       greatest($6, (
           SELECT max(earlier.next_attempt_time) FROM deliveries earlier
            WHERE earlier.channel_id = given.channel_id AND earlier.alert_id = given.alert_id
              AND earlier.state = 1
       )), $6
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[])
       AS given (delivery_id, event_id, channel_id, alert_id, sequence)
"""


async def read_cursor(connection: asyncpg.Connection) -> Cursor | None:
    """Return up to where events were taken in, None before the first start."""
    row = await connection.fetchrow(_READ)
    return None if row is None else Cursor(row["epoch"], row["revision"])


async def begin_at(connection: asyncpg.Connection, cursor: Cursor, now: datetime) -> None:
    """Set the first position. Raises CursorMovedError when there is one already."""
    if not await connection.fetchval(_BEGIN, cursor.epoch, cursor.revision, now):
        raise CursorMovedError


async def advance(
    connection: asyncpg.Connection, before: Cursor, after: Cursor, now: datetime
) -> None:
    """Move the position from `before` to `after`. Raises CursorMovedError unless it is there."""
    places = (before.epoch, before.revision, after.epoch, after.revision)
    if not await connection.fetchval(_ADVANCE, *places, now):
        raise CursorMovedError


async def take_in(
    connection: asyncpg.Connection, events: Sequence[InboxEvent], now: datetime, new_id: NewId
) -> int:
    """Keep what is new among the events, and address it to every enabled channel.

    Returns how many deliveries were made. What cannot be rendered is kept, but not addressed.
    """
    if not events:
        return 0
    added = await connection.fetch(_ADD, *_columns(events), now)
    tellable = [row for row in added if row["readable"]]
    if not tellable:
        return 0
    channel_ids = [row["channel_id"] for row in await connection.fetch(_ADDRESSEES)]
    addressed = [
        (new_id(), row["event_id"], channel_id, row["alert_id"], row["sequence"])
        for row in sorted(tellable, key=lambda row: row["sequence"])
        for channel_id in channel_ids
    ]
    if addressed:
        await connection.execute(_ADDRESS, *map(list, zip(*addressed, strict=True)), now)
    return len(addressed)


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
