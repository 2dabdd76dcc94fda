"""The rows of `requests`: what each request_id was answered, for 24 hours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tocsin.alert.store.races import RacedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    import asyncpg

REMEMBERED_FOR = timedelta(hours=24)

_READ = """
SELECT request_id, fingerprint, answer::text FROM requests
WHERE request_id = ANY($1::text[]) AND create_time >= $2
"""

# In the order of the id: two transactions that remember the same ids do not deadlock. A row that
# is too old to count gives way; a newer one stays and is missing from the count.
_REMEMBER = """
INSERT INTO requests (request_id, fingerprint, answer, create_time)
SELECT request_id, fingerprint, answer::jsonb, $4
FROM unnest($1::text[], $2::bytea[], $3::text[]) AS new (request_id, fingerprint, answer)
ON CONFLICT (request_id) DO UPDATE
SET fingerprint = excluded.fingerprint, answer = excluded.answer,
    create_time = excluded.create_time
WHERE requests.create_time < $5
RETURNING 1
"""

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


class RequestRacedError(RacedError):
    """Another transaction committed one of the request ids after this one had read them."""


async def read_requests(
    connection: asyncpg.Connection, request_ids: Collection[str], now: datetime
) -> dict[str, StoredAnswer]:
    """Return what is remembered of the ids. Older than 24 h is forgotten, purged or not."""
    rows = await connection.fetch(_READ, request_ids, now - REMEMBERED_FOR)
    return {row[0]: StoredAnswer(row[1], row[2]) for row in rows}


async def remember_requests(
    connection: asyncpg.Connection, answers: Mapping[str, StoredAnswer], now: datetime
) -> None:
    """Remember new answers.

    Raises RequestRacedError: the transaction must be run again, and will read the other answer.
    """
    ordered = sorted(answers)
    written = await connection.fetch(
        _REMEMBER,
        ordered,
        [answers[request_id].fingerprint for request_id in ordered],
        [answers[request_id].document for request_id in ordered],
        now,
        now - REMEMBERED_FOR,
    )
    if len(written) != len(ordered):
        raise RequestRacedError


async def purge_requests(connection: asyncpg.Connection, now: datetime, limit: int) -> int:
    """Delete at most `limit` answers that are older than 24 h, and return how many went."""
    status = await connection.execute(_PURGE, now - REMEMBERED_FOR, limit)
    return int(status.removeprefix("DELETE "))
