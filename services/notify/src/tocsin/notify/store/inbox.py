"""The inbox: events are taken in, and the position moves on, in one transaction.

Each function is a part of one transaction of the follower's, on its asyncpg connection. The
position moves first: the lock on its one row keeps a second follower out until the commit, so that
`inbox_events.sequence` grows in commit order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.notify.domain.route import Address
from tocsin.notify.store.columns import columns_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.notification import Notification
    from tocsin.notify.store.flaps import FlapKey
    from tocsin.notify.store.known_alerts import KnownAlert


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where the stream has been taken in."""

    epoch: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """One event as it is kept: its document as JSON, or why it has none and the raw event.

    `notification` is what the document was made from.
    """

    event_id: UUID
    epoch: UUID
    revision: int
    synthetic: bool
    type: int
    alert_id: UUID | None
    document: str | None
    quarantine_reason: str | None = None
    quarantined_payload: bytes | None = None
    notification: Notification | None = None

    def columns(self) -> tuple[Any, ...]:
        """Return the values for `take_in_1`, in its order."""
        return (
            self.event_id,
            self.epoch,
            self.revision,
            self.synthetic,
            self.type,
            self.alert_id,
            self.document,
            self.quarantine_reason,
            self.quarantined_payload,
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """A new event that can be told, with its place in the order of all events."""

    sequence: int
    notification: Notification


@dataclass(frozen=True, slots=True)
class InboxWrite:
    """What one transaction takes in: the position moves from `before` to `after` with it.

    Without a `before` the position stays as it is. `caught_up`: it is all there is. `known` and
    `resolved` are the alerts of the events after them; `raised` the keys that may begin to flap.
    """

    before: Cursor | None
    after: Cursor
    events: Sequence[InboxEvent]
    caught_up: bool = False
    known: Collection[KnownAlert] = ()
    resolved: Collection[UUID] = ()
    raised: Collection[FlapKey] = ()

    def arguments(self, now: datetime) -> list[Any]:
        """Return the arguments of `take_in_1`, in its order."""
        before = (None, None) if self.before is None else (self.before.epoch, self.before.revision)
        return [
            *before,
            self.after.epoch,
            self.after.revision,
            now,
            self.caught_up,
            *columns_of([event.columns() for event in self.events], 9),
            *columns_of([alert.columns() for alert in self.known], 4),
            list(self.resolved),
            *columns_of(sorted(self.raised), 3),
        ]


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What was new, and what its addressing goes by.

    `channels` are those that are not deleted, with whether they are enabled; `followers` who heard
    of one of the alerts before. `routes_stamp` is another one after any change of the routes.
    `any_silences` and `any_raised_before` (of the keys that may begin to flap) say whether there
    are any at all.
    """

    taken: list[Taken]
    channels: dict[UUID, bool]
    followers: list[tuple[UUID, Address]]
    routes_stamp: str
    any_silences: bool
    any_raised_before: bool


class CursorMovedError(Exception):
    """Somebody else has moved the position: what was read after the old one is theirs."""


_READ = "SELECT epoch, revision FROM follower_position"

_BEGIN = """
INSERT INTO follower_position (epoch, revision, update_time) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true
"""

# One round trip; migrations/versions/notify0006_queue_functions.py has its text.
_TAKE_IN = f"SELECT * FROM take_in_1({', '.join(f'${place}' for place in range(1, 24))})"  # noqa: S608

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


async def note_caught_up(connection: asyncpg.Connection, at: Cursor, now: datetime) -> None:
    """Note that all there is has been taken in; nothing is noted when the position is elsewhere."""
    await connection.execute(_CAUGHT_UP, at.epoch, at.revision, now)


async def read_caught_up(connection: asyncpg.Connection) -> datetime | None:
    """Return when some replica last knew that all there is was taken in, None for never."""
    caught_up: datetime | None = await connection.fetchval(_READ_CAUGHT_UP)
    return caught_up


async def take_in(
    connection: asyncpg.Connection,
    write: InboxWrite,
    now: datetime,
) -> TakenIn:
    """Move the position and keep what is new; return that, and what its addressing goes by.

    The channels are locked against deletion until the commit, if there is anything new. Raises
    CursorMovedError unless the position is at `before`.
    """
    row = await connection.fetchrow(_TAKE_IN, *write.arguments(now))
    if not row["has_moved"]:
        raise CursorMovedError
    sequences = _paired(row["new_ids"], row["sequences"])
    return TakenIn(
        taken=_in_order(write.events, sequences),
        channels=_paired(row["channel_ids"], row["channels_enabled"]),
        followers=[
            (alert_id, Address(*address))
            for alert_id, *address in zip(
                row["telling_alert_ids"] or (),
                row["telling_channel_ids"] or (),
                row["telling_route_ids"] or (),
                row["telling_group_keys"] or (),
                strict=True,
            )
        ],
        routes_stamp=row["routes_stamp"] or "",
        any_silences=bool(row["any_silences"]),
        any_raised_before=bool(row["any_raised_before"]),
    )


async def lock_channels(connection: asyncpg.Connection) -> dict[UUID, bool]:
    """Keep the channels from being deleted until the commit; return which are enabled."""
    return {row["channel_id"]: row["enabled"] for row in await connection.fetch(_CHANNELS)}


def _in_order(events: Sequence[InboxEvent], sequences: dict[UUID, int]) -> list[Taken]:
    """Return what of the events is new and can be told, in the order of the inbox."""
    taken = [
        Taken(sequences.pop(event.event_id), event.notification)
        for event in events
        if event.event_id in sequences and event.notification is not None
    ]
    return sorted(taken, key=lambda each: each.sequence)


def _paired(keys: list[Any] | None, values: list[Any] | None) -> dict[Any, Any]:
    return dict(zip(keys or (), values or (), strict=True))
