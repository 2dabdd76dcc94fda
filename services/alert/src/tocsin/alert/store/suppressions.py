"""Which standing alerts have lost the alert that explained them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.store.roots import UNREACHABLE

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

# What stands is little, what is resolved is not: the roots are looked up one by one.
OUTLIVED = f"""
SELECT alert_id FROM alerts
WHERE resolve_time IS NULL AND suppressed_by IS NOT NULL
  AND (
      SELECT CASE
          WHEN resolve_time IS NOT NULL THEN resolve_time <= $1
          ELSE kind <> 'agent_offline' AND cause NOT IN {UNREACHABLE}
      END
      FROM alerts AS root WHERE root.alert_id = alerts.suppressed_by
  )
LIMIT $2
"""  # noqa: S608 -- constants


async def outlived_suppressions(
    connection: asyncpg.Connection, ended_by: datetime, limit: int
) -> list[UUID]:
    """Return standing alerts, at most `limit`, that are not explained any more.

    Their root was resolved by then, or stands with a cause that says nothing of others.
    """
    return [row[0] for row in await connection.fetch(OUTLIVED, ended_by, limit)]
