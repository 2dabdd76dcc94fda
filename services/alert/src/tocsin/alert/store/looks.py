"""Deadlines as indexed columns: what is to be looked at now, and who of several looks.

A time to look is never later than the deadline that it stands for. Claiming moves it on by a
lease, so that no other sweep takes the same; the ledger, which decides, writes the true one. What
was claimed by a process that died comes up again when the lease is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import asyncpg


@dataclass(frozen=True, slots=True)
class Looks:
    """Where the times to look are kept, one row for each thing that is looked at.

    `condition` is SQL on the row `due`; one that does not meet it is left for later, with its place
    in the batch. It may name the parameters of a claim: $1 is now, $2 the end of the lease.
    """

    table: str
    id_column: str
    time_column: str
    condition: str = "true"

    @property
    def claim(self) -> str:
        # The rows are chosen once, in the order of the index and no more of them than asked for,
        # whatever the planner thinks of the numbers. One that is locked is being written, and
        # comes up again at the next look.
        return f"""
UPDATE {self.table} SET {self.time_column} = $2
WHERE {self.id_column} = ANY (ARRAY (
    SELECT {self.id_column} FROM (
        SELECT * FROM {self.table} WHERE {self.time_column} <= $1
        ORDER BY {self.time_column} LIMIT $3
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE {self.condition}
))
RETURNING {self.id_column}
"""  # noqa: S608 -- constants

    @property
    def put_off(self) -> str:
        return f"""
UPDATE {self.table} SET {self.time_column} = $3
WHERE {self.id_column} = ANY (ARRAY (
    SELECT {self.id_column} FROM {self.table}
    WHERE {self.id_column} = ANY ($1::text[]) AND {self.time_column} = $2
    FOR UPDATE SKIP LOCKED
))
"""  # noqa: S608 -- constants


HOST_LOOKS = Looks("host_signs", "host_id", "look_time")

# While a look at its host is due, or under way, a schedule waits: the silence of the host explains
# the run that did not come, and is to stand first.
SCHEDULE_LOOKS = Looks(
    "schedules",
    "schedule_id",
    "look_time",
    "coalesce((SELECT look_time FROM host_signs WHERE host_id = due.host_id) > $2, true)",
)

RISE_LOOKS = Looks("source_groups", "source_group_id", "rise_look_time")


async def claim_looks(
    connection: asyncpg.Connection, looks: Looks, *, now: datetime, until: datetime, limit: int
) -> list[str]:
    """Take at most `limit` of what is due, the longest due first, and return the ids.

    None of them is given out again before `until`. What another transaction has locked is left
    out; nothing is waited for.
    """
    rows = await connection.fetch(looks.claim, now, until, limit)
    return [row[0] for row in rows]


async def put_off_looks(
    connection: asyncpg.Connection,
    looks: Looks,
    ids: Collection[str],
    *,
    claimed_until: datetime,
    until: datetime,
) -> None:
    """Do not look at what was claimed before `until`, unless it was written meanwhile."""
    await connection.execute(looks.put_off, ids, claimed_until, until)
