"""Keys that were raised lately, and which of them flap.

Each function is a part of the caller's transaction, on its asyncpg connection. Rows of flaps are
locked after channels and before tellings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.domain.flap import Flap
from tocsin.notify.domain.notice import FlapNotice
from tocsin.notify.store.documents import alert_of
from tocsin.notify.store.notice_documents import message_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.notification import AlertView

FlapKey = tuple[str, str, str]
"""host_id, kind and dedup_key."""

# Only where the beginning was told or is about to be: else the channel would hear of nothing. One
# that waits for the end of quiet hours (6 HELD, 11 QUIET_HOURS) holds back nothing that rings then.
_UNTIL = """
SELECT f.host_id, f.kind, f.dedup_key, f.until_time
  FROM unnest($1::text[], $2::text[], $3::text[]) AS given (host_id, kind, dedup_key)
  JOIN flaps f ON f.host_id = given.host_id AND f.kind = given.kind
   AND f.dedup_key = given.dedup_key AND f.until_time > $4
  JOIN tellings t ON t.channel_id = $5 AND t.alert_id = f.subject_id
 WHERE t.maybe_told
    OR EXISTS (SELECT FROM deliveries d
                WHERE d.channel_id = t.channel_id AND d.alert_id = t.alert_id
                  AND d.state IN (1, 2, 6)
                  AND (d.reason <> 11 OR d.next_attempt_time <= $4))
"""

_LOCK = """
SELECT f.* FROM flaps f
  JOIN unnest($1::text[], $2::text[], $3::text[]) AS given (host_id, kind, dedup_key)
    ON f.host_id = given.host_id AND f.kind = given.kind AND f.dedup_key = given.dedup_key
 ORDER BY f.host_id, f.kind, f.dedup_key
   FOR UPDATE OF f
"""

_SAVE = """
INSERT INTO flaps (host_id, kind, dedup_key, raise_times, subject_id, until_time)
SELECT host_id, kind, dedup_key, raise_times::timestamptz[], subject_id, until_time
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::timestamptz[])
       AS given (host_id, kind, dedup_key, raise_times, subject_id, until_time)
 ORDER BY host_id, kind, dedup_key
ON CONFLICT (host_id, kind, dedup_key) DO UPDATE
   SET raise_times = excluded.raise_times, subject_id = excluded.subject_id,
       until_time = excluded.until_time
"""

_TAKE_ENDED = """
WITH ended AS (
    SELECT host_id, kind, dedup_key FROM flaps WHERE until_time <= $1
     ORDER BY until_time LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM flaps f USING ended
 WHERE f.host_id = ended.host_id AND f.kind = ended.kind AND f.dedup_key = ended.dedup_key
RETURNING f.*
"""

# 102 is FLAPPING.
_BEGINNINGS = """
SELECT DISTINCT ON (d.alert_id) d.alert_id AS subject_id, i.document::text
  FROM deliveries d JOIN inbox_events i ON i.event_id = d.event_id AND i.type = 102
 WHERE d.alert_id = ANY($1::uuid[])
"""

_OPEN = """
SELECT k.document::text
  FROM unnest($1::text[], $2::text[], $3::text[]) AS given (host_id, kind, dedup_key)
  JOIN known_alerts k ON k.document ->> 'host_id' = given.host_id
   AND k.document ->> 'kind' = given.kind AND k.document ->> 'dedup_key' = given.dedup_key
"""


@dataclass(frozen=True, slots=True)
class EndedFlap:
    """A key that flaps no more: what its beginning was told as, and the alert that is open."""

    flap: Flap
    beginning: FlapNotice
    open_alert: AlertView | None


async def flapping_until(
    connection: asyncpg.Connection, channel_id: UUID, keys: Collection[FlapKey], now: datetime
) -> dict[FlapKey, datetime]:
    """Return until when these keys flap unless they are raised again.

    Only those of which the channel is told so, and as little of their alerts.
    """
    if not keys:
        return {}
    rows = await connection.fetch(_UNTIL, *_columns(keys), now, channel_id)
    return {(row["host_id"], row["kind"], row["dedup_key"]): row["until_time"] for row in rows}


async def lock(connection: asyncpg.Connection, keys: Collection[FlapKey]) -> dict[FlapKey, Flap]:
    """Lock what is remembered of these keys, and return it; nothing of those never raised."""
    flaps = [_flap(row) for row in await connection.fetch(_LOCK, *_columns(keys))]
    return {(each.host_id, each.kind, each.dedup_key): each for each in flaps}


async def save(connection: asyncpg.Connection, flaps: Iterable[Flap]) -> None:
    """Remember these keys, each with an `until`. One intake at a time adds any."""
    rows = [
        (
            each.host_id,
            each.kind,
            each.dedup_key,
            # An array of arrays has rows of one length only.
            "{" + ",".join(time.isoformat() for time in each.raise_times) + "}",
            each.subject_id,
            each.until,
        )
        for each in flaps
    ]
    if rows:
        await connection.execute(_SAVE, *map(list, zip(*rows, strict=True)))


async def take_ended(
    connection: asyncpg.Connection, now: datetime, limit: int
) -> tuple[int, list[EndedFlap]]:
    """Forget at most `limit` keys that were calm for long enough.

    Returns how many, and those of them that flapped. Keys that others look at are passed over.
    """
    rows = await connection.fetch(_TAKE_ENDED, now, limit)
    flapped = [_flap(row) for row in rows if row["subject_id"] is not None]
    if not flapped:
        return len(rows), []
    beginnings = await _beginnings(connection, flapped)
    open_alerts = await _open_alerts(connection, flapped)
    ended = [
        EndedFlap(each, beginnings[each.subject_id], open_alerts.get(_key(each)))
        for each in flapped
        if each.subject_id in beginnings
    ]
    return len(rows), ended


async def _beginnings(
    connection: asyncpg.Connection, flaps: Iterable[Flap]
) -> dict[UUID | None, FlapNotice]:
    rows = await connection.fetch(_BEGINNINGS, [each.subject_id for each in flaps])
    messages = [message_of(json.loads(row["document"])) for row in rows]
    return {each.subject_id: each for each in messages if isinstance(each, FlapNotice)}


async def _open_alerts(
    connection: asyncpg.Connection, flaps: Iterable[Flap]
) -> dict[FlapKey, AlertView]:
    rows = await connection.fetch(_OPEN, *_columns([_key(each) for each in flaps]))
    alerts = [alert_of(json.loads(row["document"])) for row in rows]
    return {(each.host_id, each.kind, each.dedup_key): each for each in alerts}


def _key(flap: Flap) -> FlapKey:
    return flap.host_id, flap.kind, flap.dedup_key


def _columns(keys: Collection[FlapKey]) -> Sequence[list[str]]:
    return [list(column) for column in zip(*sorted(keys), strict=True)]


def _flap(row: asyncpg.Record) -> Flap:
    return Flap(
        host_id=row["host_id"],
        kind=row["kind"],
        dedup_key=row["dedup_key"],
        raise_times=tuple(row["raise_times"]),
        subject_id=row["subject_id"],
        until=row["until_time"],
    )
