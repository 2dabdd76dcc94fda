"""The event log: revisions without a gap, in the order of commit.

`append` gives a revision only once the transaction holds the log's lock, and commits with it held,
so the order of the revisions is the order in which they become visible. `read` takes the bounds
of the log and a page of it from one snapshot, so a reader can tell a gap from a compaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.identity import LIVE_EPOCH, epoch_or_refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

# Advisory locks are told apart by these numbers within one database: "tocsin" in ASCII, then one
# number for each use. Those of the log are 1 (append), 2 (identity) and 3 (compaction).
_APPEND_LOCK = 0x746F6373696E0001

_LOCK = "SELECT pg_advisory_xact_lock($1)"

_INSERT = """
WITH log AS (SELECT coalesce(max(revision), 0) AS head FROM events),
written AS (
    INSERT INTO events
        (revision, alert_id, host_id, kind, severity, type, record_time, payload)
    SELECT log.head + entry.place, entry.alert_id, entry.host_id, entry.kind, entry.severity,
           entry.type, entry.record_time, entry.payload
    FROM log, unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::smallint[],
                     $6::timestamptz[], $7::bytea[])
         WITH ORDINALITY
         AS entry (alert_id, host_id, kind, severity, type, record_time, payload, place)
)
SELECT head FROM log
"""

_HEAD = f"SELECT ({LIVE_EPOCH}), (SELECT coalesce(max(revision), 0) FROM events)"  # noqa: S608 -- constants

_BOUNDS = f"""
SELECT ({LIVE_EPOCH}), coalesce((SELECT min(revision) FROM events), 1),
       (SELECT coalesce(max(revision), 0) FROM events)
"""  # noqa: S608 -- constants

# The first kept revision is looked for only when the page does not begin where it was asked to:
# under an old snapshot min() walks over every row that compaction has deleted since.
_PAGE = f"""
WITH page AS MATERIALIZED (
    SELECT revision, alert_id, host_id, kind, severity, type, record_time, payload
    FROM (
        SELECT *, sum(octet_length(payload)) OVER (ORDER BY revision) - octet_length(payload)
               AS before
        FROM (SELECT * FROM events WHERE revision > $1 ORDER BY revision LIMIT $2) AS next
    ) AS measured
    WHERE before < $3
),
log AS (
    SELECT ({LIVE_EPOCH}) AS epoch,
           CASE WHEN (SELECT min(revision) FROM page) = $1 + 1 THEN $1 + 1
                ELSE coalesce((SELECT min(revision) FROM events), 1) END AS oldest,
           (SELECT coalesce(max(revision), 0) FROM events) AS head
)
SELECT log.epoch, log.oldest, log.head, page.*
FROM log LEFT JOIN page ON true
ORDER BY page.revision
"""  # noqa: S608 -- constants

_TIMELINE = """
SELECT revision, alert_id, host_id, kind, severity, type, record_time, payload
FROM events
WHERE alert_id = $1 AND revision > $2
ORDER BY revision
LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An event that has no revision yet. `payload` is the serialised event without a position."""

    alert_id: UUID
    host_id: str
    kind: str
    severity: int
    type: int
    record_time: datetime
    payload: bytes


class Entry(NamedTuple):
    """An event at its place in the log."""

    revision: int
    alert_id: UUID
    host_id: str
    kind: str
    severity: int
    type: int
    record_time: datetime
    payload: bytes


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


async def append(connection: asyncpg.Connection, entries: Sequence[NewEntry]) -> range:
    """Write entries at the end of the log and return their revisions, in the order given.

    Call it last in a READ COMMITTED transaction: from here to the commit no other transaction of
    the database can append. The lock and the insert are two statements, because a statement sees
    what was committed before it began, and the lock may have waited for such a commit.
    """
    if not entries:
        return range(0)
    await connection.execute(_LOCK, _APPEND_LOCK)
    head = await connection.fetchval(
        _INSERT,
        [e.alert_id for e in entries],
        [e.host_id for e in entries],
        [e.kind for e in entries],
        [e.severity for e in entries],
        [e.type for e in entries],
        [e.record_time for e in entries],
        [e.payload for e in entries],
    )
    return range(head + 1, head + 1 + len(entries))


async def read(
    connection: asyncpg.Connection, after: int, limit: int, max_bytes: int = 2**20
) -> Page:
    """Read the entries after a revision, in one statement, with the bounds of the log.

    At most `limit` of them, and no more once their payloads have reached `max_bytes`; at least
    one when there is one. Raises UnavailableError when the log's identity must be settled first.
    """
    rows = await connection.fetch(_PAGE, after, limit, max_bytes)
    epoch, oldest, head, first = rows[0][:4]
    entries = () if first is None else tuple(Entry(*row[3:]) for row in rows)
    return Page(epoch_or_refuse(epoch), oldest, head, entries)


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
) -> list[Entry]:
    """Return the kept entries of one alert after a revision, the oldest first, at most `limit`."""
    rows = await connection.fetch(_TIMELINE, alert_id, after, limit)
    return [Entry(*row) for row in rows]
