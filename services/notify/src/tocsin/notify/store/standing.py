"""Where the follower and the canary stand: for the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

_READ = """
SELECT p.revision, p.caught_up_time,
       (SELECT max(arrive_time) FROM canary_runs) AS canary_arrive_time
  FROM (SELECT) one LEFT JOIN follower_position p ON true
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """None for what has not been yet.

    `revision` is the last that was taken in, `caught_up_time` when all there was had been taken in,
    `canary_arrive_time` when a canary last came through.
    """

    revision: int | None
    caught_up_time: datetime | None
    canary_arrive_time: datetime | None


async def read_standing(connection: asyncpg.Connection) -> Standing:
    """Return it as any replica has brought it about."""
    return Standing(*await connection.fetchrow(_READ))
