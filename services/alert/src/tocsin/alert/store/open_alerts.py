"""All alerts that are not resolved, read row after row for a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.store.alerts import COLUMNS, alert_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    import asyncpg

    from tocsin.alert.domain.alert import Alert

_BATCH = 500

_OPEN = f"""
SELECT {COLUMNS} FROM alerts
WHERE resolve_time IS NULL
  AND severity >= $1
  AND (cardinality($2::text[]) = 0 OR host_id = ANY($2))
  AND (cardinality($3::text[]) = 0 OR kind = ANY($3))
ORDER BY raise_time, alert_id
"""  # noqa: S608 -- constants


async def open_alerts(
    connection: asyncpg.Connection,
    *,
    min_severity: int,
    host_ids: Collection[str],
    kinds: Collection[str],
) -> AsyncGenerator[list[Alert], None]:
    """Yield the alerts that are not resolved, the first raised first, some at a time.

    Uses a cursor on the server: call it inside a transaction. An empty collection is no bound.
    """
    cursor = await connection.cursor(_OPEN, min_severity, list(host_ids), list(kinds))
    while rows := await cursor.fetch(_BATCH):
        yield [alert_of(row) for row in rows]
