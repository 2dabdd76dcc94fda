"""The alerts that are not resolved, as the stream last told them.

What a snapshot is compared with, after the log was compacted or changed its epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    import asyncpg


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """One alert; `payload` is the serialised Alert of the alert contract."""

    alert_id: UUID
    version: int
    payload: bytes


_READ = "SELECT payload FROM known_alerts ORDER BY alert_id"

_KEEP = """
INSERT INTO known_alerts (alert_id, version, payload)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[])
ON CONFLICT (alert_id) DO UPDATE SET version = excluded.version, payload = excluded.payload
"""

_FORGET = "DELETE FROM known_alerts WHERE alert_id = ANY($1::uuid[])"


async def read_payloads(connection: asyncpg.Connection) -> list[bytes]:
    """Return all known alerts, serialised."""
    return [row["payload"] for row in await connection.fetch(_READ)]


async def keep(connection: asyncpg.Connection, alerts: Collection[KnownAlert]) -> None:
    """Remember these alerts as they are now; at most one entry for each."""
    if not alerts:
        return
    ids = [alert.alert_id for alert in alerts]
    versions = [alert.version for alert in alerts]
    await connection.execute(_KEEP, ids, versions, [alert.payload for alert in alerts])


async def forget(connection: asyncpg.Connection, alert_ids: Collection[UUID]) -> None:
    """Forget alerts that were resolved."""
    if alert_ids:
        await connection.execute(_FORGET, list(alert_ids))
