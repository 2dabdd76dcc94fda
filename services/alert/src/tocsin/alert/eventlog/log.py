"""The event log: revisions without a gap, in the order of commit.

`append` gives a revision only once the transaction holds the log's lock, and commits with it held,
so the order of the revisions is the order in which they become visible. `read` takes the bounds
of the log and a page of it from one snapshot, so a reader can tell a gap from a compaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.frames import framing
from tocsin.alert.eventlog.identity import LIVE_EPOCH, epoch_or_refuse
from tocsin.common.postgres.columns import once_if_alike, packed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.postgres.calls import FunctionCall

# Advisory locks are told apart by these numbers within one database: "tocsin" in ASCII, then one
# number for each use. Those of the log are 1 (append), 2 (identity) and 3 (compaction).
_APPEND_LOCK = 0x746F6373696E0001

_HEAD = f"SELECT ({LIVE_EPOCH}), (SELECT coalesce(max(revision), 0) FROM events)"  # noqa: S608 -- constants

_BOUNDS = f"""
SELECT ({LIVE_EPOCH}), coalesce((SELECT min(revision) FROM events), 1),
       (SELECT coalesce(max(revision), 0) FROM events)
"""  # noqa: S608 -- constants

# One row with a list for each column: half of what a row for each event costs to send and decode.
# The first kept revision is looked for only when the page does not begin where it was asked to:
# under an old snapshot min() walks over every row that compaction has deleted since.
_PAGE = f"""
WITH next AS (
    SELECT revision, host_id, kind, severity, type, payload
    FROM events WHERE revision > $1 ORDER BY revision LIMIT $2
),
measured AS (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY revision ROWS UNBOUNDED PRECEDING)
              - octet_length(payload) AS before
    FROM next
),
page AS (
    SELECT min(revision) AS first, array_agg(revision) AS revisions, array_agg(host_id) AS hosts,
           array_agg(kind) AS kinds, array_agg(severity) AS severities, array_agg(type) AS types,
           array_agg(payload) AS payloads
    FROM measured WHERE before < $3
)
SELECT ({LIVE_EPOCH}),
       CASE WHEN first = $1 + 1 THEN first
            ELSE coalesce((SELECT min(revision) FROM events), 1) END,
       (SELECT coalesce(max(revision), 0) FROM events),
       revisions, hosts, kinds, severities, types, payloads
FROM page
"""  # noqa: S608 -- constants

_TIMELINE = """
SELECT revision, payload
FROM events
WHERE alert_id = $1 AND revision > $2
ORDER BY revision
LIMIT $3
"""


class NewEntry(NamedTuple):
    """An event that has no revision yet. `payload` is the serialised event without a position."""

    alert_id: UUID
    host_id: str
    kind: str
    severity: int
    type: int
    record_time: datetime
    payload: bytes


class Entry(NamedTuple):
    """An event at its place in the log: what a subscriber may choose by, and the event itself.

    `frame` is the event with its position as it goes over the wire (see `frames`).
    """

    revision: int
    host_id: str
    kind: str
    severity: int
    type: int
    frame: bytes


class Record(NamedTuple):
    """An event at its place in the log. `payload` is as in NewEntry."""

    revision: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """What one transaction has appended: true once it is committed, and nothing before.

    `epoch` is that of the log when it was written, None when the log is not settled; there are
    no entries then, since an event has no position without an epoch.
    """

    revisions: range
    epoch: UUID | None = None
    entries: tuple[Entry, ...] = ()


NOTHING_APPENDED = Appended(range(0))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the log holds: revisions `oldest` to `head`; nothing when `oldest` is `head` + 1."""

    epoch: UUID
    oldest: int
    head: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the log, and its bounds at that moment.

    `oldest` is the first revision kept; it is looked up only when `entries` do not begin right
    after the revision asked for, and is that beginning otherwise.
    """

    epoch: UUID
    oldest: int
    head: int
    entries: tuple[Entry, ...]


@cache
def _statement(first: str, before: int, condition: str) -> str:
    """Return the statement that appends after a call that has `before` arguments, if it may."""
    places = ", ".join(f"${place}" for place in range(before + 1, before + 9))
    appended = f"append_2({first}, {places})"
    if condition:
        appended = f"CASE WHEN {condition} THEN {appended} END"
    return f"SELECT {appended}, ({LIVE_EPOCH})"


async def append(
    connection: asyncpg.Connection, entries: Sequence[NewEntry], first: FunctionCall | None = None
) -> Appended:
    """Write entries at the end of the log, in the order given.

    Call it last in a READ COMMITTED transaction: from here to the commit no other transaction of
    the database can append. `first` is a call that returns a boolean: it is made in the same
    round trip, before the log is locked.
    """
    if not entries:
        return NOTHING_APPENDED
    head, epoch = await _append(connection, entries, first)
    return _appended(head or 0, epoch, entries)


async def append_if(
    connection: asyncpg.Connection,
    condition: FunctionCall,
    entries: Sequence[NewEntry],
    first: FunctionCall | None = None,
) -> Appended | None:
    """Do as `append` does, with at least one entry, if a call before all else returns true.

    None, and nothing is written, if it returns false. It may lock what `first` writes. As one
    statement this needs no transaction around it.
    """
    head, epoch = await _append(connection, entries, first, condition)
    return None if head is None else _appended(head, epoch, entries)


async def _append(
    connection: asyncpg.Connection,
    entries: Sequence[NewEntry],
    first: FunctionCall | None,
    condition: FunctionCall | None = None,
) -> tuple[int | None, UUID | None]:
    held = () if condition is None else condition.arguments
    before = () if first is None else first.arguments
    alert_ids, host_ids, kinds, severities, types, record_times, payloads = zip(
        *entries, strict=True
    )
    row: tuple[int | None, UUID | None] = await connection.fetchrow(
        _statement(
            "NULL" if first is None else first.sql_after(len(held)),
            len(held) + len(before),
            "" if condition is None else condition.sql,
        ),
        *held,
        *before,
        _APPEND_LOCK,
        alert_ids,
        packed(host_ids),
        packed(kinds),
        once_if_alike(severities),
        once_if_alike(types),
        once_if_alike(record_times),
        payloads,
    )
    return row


def _appended(head: int, epoch: UUID | None, entries: Sequence[NewEntry]) -> Appended:
    revisions = range(head + 1, head + 1 + len(entries))
    if epoch is None:
        return Appended(revisions)
    _, *chosen_by, _, payloads = zip(*entries, strict=True)
    frames = map(framing(epoch), revisions, payloads)
    return Appended(revisions, epoch, tuple(map(Entry, revisions, *chosen_by, frames)))


async def read(
    connection: asyncpg.Connection, after: int, limit: int, max_bytes: int = 2**20
) -> Page:
    """Read the entries after a revision, in one statement, with the bounds of the log.

    At most `limit` of them, and no more once their payloads have reached `max_bytes`; at least
    one when there is one. Raises UnavailableError when the log's identity must be settled first.
    """
    epoch, oldest, head, revisions, *columns = await connection.fetchrow(
        _PAGE, after, limit, max_bytes
    )
    epoch = epoch_or_refuse(epoch)
    if revisions is None:
        return Page(epoch, oldest, head, ())
    *chosen_by, payloads = columns
    frames = map(framing(epoch), revisions, payloads)
    return Page(epoch, oldest, head, tuple(map(Entry, revisions, *chosen_by, frames)))


async def head(connection: asyncpg.Connection) -> Position:
    """Return the end of the log as the connection's transaction sees it."""
    epoch, revision = await connection.fetchrow(_HEAD)
    return Position(epoch_or_refuse(epoch), revision)


async def bounds(connection: asyncpg.Connection) -> Bounds:
    """Return what the log holds as the connection's transaction sees it."""
    epoch, oldest, newest = await connection.fetchrow(_BOUNDS)
    return Bounds(epoch_or_refuse(epoch), oldest, newest)


async def timeline(
    connection: asyncpg.Connection, alert_id: UUID, after: int, limit: int
) -> list[Record]:
    """Return the kept events of one alert after a revision, the oldest first, at most `limit`."""
    rows = await connection.fetch(_TIMELINE, alert_id, after, limit)
    return [Record(*row) for row in rows]
