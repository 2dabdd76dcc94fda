"""The rows of `requests`: what each request_id was answered, for 24 hours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

REMEMBERED_FOR = timedelta(hours=24)

_PURGE = """
DELETE FROM requests WHERE request_id IN (
    SELECT request_id FROM requests WHERE create_time < $1
    ORDER BY create_time LIMIT $2
    FOR UPDATE SKIP LOCKED
)
"""


class StoredAnswer(NamedTuple):
    """What a request_id was answered, as a JSON document, and to what."""

    fingerprint: bytes
    document: str


async def purge_requests(connection: asyncpg.Connection, now: datetime, limit: int) -> int:
    """Delete at most `limit` answers that are older than 24 h, and return how many went."""
    status = await connection.execute(_PURGE, now - REMEMBERED_FOR, limit)
    return int(status.removeprefix("DELETE "))
