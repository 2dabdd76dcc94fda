"""How many alerts of a host are open, and which hosts are flooded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import asyncpg

# In the order of the index of the open keys, so that of a host no more is read than the limit.
COUNT = """
SELECT host.host_id,
       (SELECT count(*) FROM (
           SELECT FROM alerts
           WHERE alerts.host_id = host.host_id AND kind <> 'alert_flood' AND resolve_time IS NULL
           ORDER BY kind, dedup_key
           LIMIT $2
       ) AS open),
       (SELECT last_seen_time FROM alerts
        WHERE alerts.host_id = host.host_id AND kind = 'alert_flood' AND dedup_key = ''
          AND resolve_time IS NULL)
FROM unnest($1::text[]) AS host (host_id)
"""

# Reads the whole of that index, the table only where it finds one.
FLOODED = """
SELECT host_id FROM alerts
WHERE kind = 'alert_flood' AND dedup_key = '' AND resolve_time IS NULL
"""


class OpenCount(NamedTuple):
    """How many alerts of a host are open, at most the limit that was asked for, floods apart.

    `flood_seen_time` is when its alert_flood was last seen, None while none stands.
    """

    host_id: str
    open_alerts: int
    flood_seen_time: datetime | None


async def count_open(
    connection: asyncpg.Connection, host_ids: Collection[str], limit: int
) -> list[OpenCount]:
    """Count the open alerts of some hosts, of each no further than `limit`."""
    return [OpenCount(*row) for row in await connection.fetch(COUNT, host_ids, limit)]


async def flooded_hosts(connection: asyncpg.Connection) -> set[str]:
    """Return all hosts for which an alert_flood stands."""
    return {row[0] for row in await connection.fetch(FLOODED)}
