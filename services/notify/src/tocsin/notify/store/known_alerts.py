"""The alerts that are not resolved, as the stream last told them.

What a snapshot is compared with, after the log was compacted or changed its epoch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.domain.telling import Root
from tocsin.notify.store.documents import alert_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.notification import AlertView


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """One alert; `payload` is the serialised Alert of the alert contract.

    `document` is the same as `store.documents` writes it, as JSON; None when it cannot be read.
    """

    alert_id: UUID
    version: int
    payload: bytes
    document: str | None = None

    def columns(self) -> tuple[UUID, int, bytes, str | None]:
        """Return the values of its row."""
        return self.alert_id, self.version, self.payload, self.document


_READ = "SELECT payload FROM known_alerts ORDER BY alert_id"

# Kept by a version that knew no documents, or unreadable.
_READ_BARE = "SELECT payload FROM known_alerts WHERE document IS NULL ORDER BY alert_id"

_READ_VIEWS = """
SELECT document::text FROM known_alerts WHERE document IS NOT NULL ORDER BY alert_id
"""

_KEEP = """
INSERT INTO known_alerts (alert_id, version, payload, document)
SELECT alert_id, version, payload, document::jsonb
  FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::text[])
       AS given (alert_id, version, payload, document)
ON CONFLICT (alert_id) DO UPDATE
   SET version = excluded.version, payload = excluded.payload, document = excluded.document
"""

# 6 is RESOLVED. The end of what was addressed to nobody is not found: it has no delivery.
_ROOTS = """
SELECT given.alert_id, known.alert_id IS NOT NULL AS is_open, over.time AS over_time,
       t.alert_id IS NOT NULL AS is_told
  FROM unnest($1::uuid[]) AS given (alert_id)
  LEFT JOIN tellings t ON t.channel_id = $2 AND t.alert_id = given.alert_id
  LEFT JOIN known_alerts known ON known.alert_id = given.alert_id
  LEFT JOIN LATERAL (
      SELECT max(i.receive_time) AS time
        FROM deliveries d JOIN inbox_events i ON i.event_id = d.event_id AND i.type = 6
       WHERE d.alert_id = given.alert_id
  ) over ON known.alert_id IS NULL
"""


async def read_payloads(connection: asyncpg.Connection) -> list[bytes]:
    """Return all known alerts, serialised."""
    return [row["payload"] for row in await connection.fetch(_READ)]


async def read_bare_payloads(connection: asyncpg.Connection) -> list[bytes]:
    """Return those of the known alerts that are kept without a document, serialised."""
    return [row["payload"] for row in await connection.fetch(_READ_BARE)]


async def read_views(connection: asyncpg.Connection) -> list[AlertView]:
    """Return all known alerts that can be read."""
    rows = await connection.fetch(_READ_VIEWS)
    return [alert_of(json.loads(row["document"])) for row in rows]


async def read_roots(
    connection: asyncpg.Connection, alert_ids: Collection[UUID], channel_id: UUID
) -> dict[UUID, Root | None]:
    """Return how these alerts stand; one of which nothing is known is left out.

    None for one that was never addressed to the channel: there it explains nothing to anybody.
    """
    return {
        row["alert_id"]: Root(row["alert_id"], row["over_time"]) if row["is_told"] else None
        for row in await connection.fetch(_ROOTS, list(alert_ids), channel_id)
        if row["is_open"] or row["over_time"] is not None
    }


async def keep(connection: asyncpg.Connection, alerts: Collection[KnownAlert]) -> None:
    """Remember these alerts as they are now; at most one entry for each."""
    if alerts:
        rows = [alert.columns() for alert in alerts]
        await connection.execute(_KEEP, *map(list, zip(*rows, strict=True)))
