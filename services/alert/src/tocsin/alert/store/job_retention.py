"""How long the rows of `jobs` are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

# A job that is being reported once more is left alone: it is young again in a moment.
PURGE = """
DELETE FROM jobs WHERE job_id = ANY (ARRAY (
    SELECT job_id FROM jobs WHERE receive_time < $1
    ORDER BY receive_time LIMIT $2
    FOR UPDATE SKIP LOCKED
))
"""


async def purge_jobs(connection: asyncpg.Connection, before: datetime, limit: int) -> int:
    """Delete at most `limit` jobs last heard of before then, and return how many went.

    What their streams and schedules remember of them stays.
    """
    status = await connection.execute(PURGE, before, limit)
    return int(status.removeprefix("DELETE "))
