"""The silences as they are kept. Nothing of them is ever deleted but by age."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tocsin.common.errors import NotFoundError
from tocsin.notify.domain.silence import Silence
from tocsin.notify.store.acts import write_down
from tocsin.notify.store.condition_documents import (
    matchers_document,
    matchers_of,
    recurrence_document,
    recurrence_of,
)
from tocsin.notify.store.deliveries_waiting import wake_held_by
from tocsin.notify.store.known_alerts import read_views

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.clock import Clock
    from tocsin.common.identity.audit import Act
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.notification import AlertView

REPEATED_WITHIN = timedelta(hours=24)
"""How long a request_id is remembered."""

# A claim that goes by a silence keeps it from being ended until what it holds can be seen, and is
# woken with the rest. One that is being ended at this moment is none any more.
_READ_CURRENT = """
SELECT *, matchers::text AS matchers_text, recurrence::text AS recurrence_text FROM silences
 WHERE expire_time IS NULL AND (end_time IS NULL OR end_time > $1)
 ORDER BY silence_id FOR SHARE SKIP LOCKED
"""

_READ = """
SELECT *, matchers::text AS matchers_text, recurrence::text AS recurrence_text FROM silences
 WHERE silence_id = $1
"""

_PAGE = """
SELECT *, matchers::text AS matchers_text, recurrence::text AS recurrence_text FROM silences
 WHERE ($2 OR expire_time IS NULL AND (end_time IS NULL OR end_time > $1))
   AND ($3::uuid IS NULL OR silence_id < $3)
 ORDER BY silence_id DESC LIMIT $4
"""

_FORGET_REQUEST = """
UPDATE silences SET request_id = ''
 WHERE request_id = $1 AND created_by = $2 AND create_time <= $3
"""

_OF_REQUEST = """
SELECT *, matchers::text AS matchers_text, recurrence::text AS recurrence_text FROM silences
 WHERE request_id = $1 AND created_by = $2
"""

_ADD = """
INSERT INTO silences (silence_id, matchers, start_time, end_time, recurrence, duration_seconds,
                      author, reason, request_id, create_time, created_by, expired_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '')
    ON CONFLICT (request_id, created_by) WHERE request_id <> '' DO NOTHING
RETURNING true
"""

_EXPIRE = """
UPDATE silences SET expire_time = $1, expired_by = $3
 WHERE silence_id = $2 AND expire_time IS NULL AND (end_time IS NULL OR end_time > $1)
RETURNING *, matchers::text AS matchers_text, recurrence::text AS recurrence_text
"""


async def read_current(connection: asyncpg.Connection, now: datetime) -> list[Silence]:
    """Return the silences that are not over: those that begin later, too."""
    return [_silence(row) for row in await connection.fetch(_READ_CURRENT, now)]


class SilenceStore:
    """Keeps the silences.

    Every method raises UnavailableError when the database does not answer.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def known_alerts(self) -> list[AlertView]:
        """Return the alerts that are not resolved, as notify knows them."""
        async with self._database.connection() as connection:
            return await read_views(connection)

    async def list_current(self) -> list[Silence]:
        """Return the silences that are not over: those that begin later, too."""
        async with self._database.connection() as connection:
            return await read_current(connection, self._clock.now())

    async def of_request(self, request_id: str, created_by: str) -> Silence | None:
        """Return what a request made within the last 24 h, None when it made nothing."""
        if not request_id:
            return None
        long_ago = self._clock.now() - REPEATED_WITHIN
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET_REQUEST, request_id, created_by, long_ago)
            row = await connection.fetchrow(_OF_REQUEST, request_id, created_by)
            return None if row is None else _silence(row)

    async def create(
        self, silence: Silence, *, request_id: str = "", act: Act | None = None
    ) -> Silence:
        """Keep a silence, and return it; the one of the same request when that came between."""
        recurrence, duration = recurrence_document(silence.recurrence), silence.duration
        async with self._database.transaction() as connection:
            is_added = await connection.fetchval(
                _ADD,
                silence.silence_id,
                json.dumps(matchers_document(silence.matchers)),
                silence.start_time,
                silence.end_time,
                None if recurrence is None else json.dumps(recurrence),
                None if duration is None else duration.total_seconds(),
                silence.author,
                silence.reason,
                request_id,
                silence.create_time,
                silence.created_by,
            )
            if is_added:
                told = {"reason": silence.reason, "author": silence.author}
                now, subject = silence.create_time, silence.silence_id
                await write_down(connection, act, now, subject=subject, **told)
                return silence
            row = await connection.fetchrow(_OF_REQUEST, request_id, silence.created_by)
            return _silence(row)

    async def get(self, silence_id: UUID) -> Silence:
        """Return a silence. Raises NotFoundError (SILENCE_NOT_FOUND)."""
        async with self._database.connection() as connection:
            return await _read(connection, silence_id)

    async def list_page(
        self, *, include_expired: bool, before: UUID | None = None, limit: int
    ) -> list[Silence]:
        """Return at most `limit` silences, the latest first, from those made before one on."""
        async with self._database.connection() as connection:
            now = self._clock.now()
            rows = await connection.fetch(_PAGE, now, include_expired, before, limit)
            return [_silence(row) for row in rows]

    async def expire(
        self, silence_id: UUID, expired_by: str, *, act: Act | None = None
    ) -> tuple[Silence, bool]:
        """End a silence now, so that what it holds is decided anew.

        Returns it, and whether it was not over. Raises NotFoundError (SILENCE_NOT_FOUND).
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_EXPIRE, now, silence_id, expired_by)
            if row is None:
                return await _read(connection, silence_id), False
            await wake_held_by(connection, silence_id, now)
            await write_down(connection, act, now, subject=silence_id)
            return _silence(row), True


async def _read(connection: asyncpg.Connection, silence_id: UUID) -> Silence:
    row = await connection.fetchrow(_READ, silence_id)
    if row is None:
        raise NotFoundError(f"No silence {silence_id}.", reason="SILENCE_NOT_FOUND")
    return _silence(row)


def _silence(row: Mapping[str, Any]) -> Silence:
    recurrence, seconds = row["recurrence_text"], row["duration_seconds"]
    return Silence(
        silence_id=row["silence_id"],
        matchers=matchers_of(json.loads(row["matchers_text"])),
        start_time=row["start_time"],
        end_time=row["end_time"],
        recurrence=None if recurrence is None else recurrence_of(json.loads(recurrence)),
        duration=None if seconds is None else timedelta(seconds=seconds),
        author=row["author"],
        reason=row["reason"],
        create_time=row["create_time"],
        created_by=row["created_by"],
        expire_time=row["expire_time"],
        expired_by=row["expired_by"],
    )
