"""Deletes the oldest events, in small transactions that no writer waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.common.lifecycle import BackgroundLoop

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

COMPACTION_LOCK = 0x746F6373696E0003

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1)"

# Only a beginning of the log is ever deleted, whatever clocks the writers had. $1 is where the
# batch before ended: under an old snapshot the rows deleted so far would be walked over again.
_DELETE = """
WITH old AS (
    SELECT revision, record_time FROM events
    WHERE revision > $1 AND revision <= (SELECT max(revision) FROM events) - $2
    ORDER BY revision LIMIT $3
),
young AS (SELECT min(revision) AS revision FROM old WHERE record_time >= $4),
deleted AS (
    DELETE FROM events
    WHERE revision IN (SELECT revision FROM old)
      AND revision < coalesce((SELECT revision FROM young), 9223372036854775807)
    RETURNING revision
)
SELECT count(*), max(revision) FROM deleted
"""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """An event is kept while it is younger than `age` or among the newest `revisions`.

    The newest is always kept: revisions go on from it.
    """

    age: timedelta = timedelta(days=7)
    revisions: int = 100_000


class Compaction:
    """Looks every `interval` for what is past retention. One server at a time does it."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        retention: Retention,
        interval: timedelta = timedelta(minutes=1),
        batch: int = 1_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention
        self._interval = interval
        self._batch = batch
        # Each batch is a transaction of its own: nothing is lost by stopping in the midst.
        self._loop = BackgroundLoop("eventlog-compaction", self._step, grace=timedelta())

    @property
    def loop(self) -> BackgroundLoop:
        """What takes its steps."""
        return self._loop

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def compact(self) -> int:
        """Delete all that is past retention now and return how many events that were."""
        horizon = self._clock.now() - self._retention.age
        total = last = 0
        while True:
            count, last = await self._delete_batch(last, horizon)
            if not count:
                return total
            total += count

    async def _delete_batch(self, after: int, horizon: datetime) -> tuple[int, int]:
        """Delete one batch and return how many events it had and the revision of the last."""
        async with self._database.transaction() as connection:
            if not await connection.fetchval(_TRY_LOCK, COMPACTION_LOCK):
                return 0, after
            keep = max(1, self._retention.revisions)
            count, last = await connection.fetchrow(_DELETE, after, keep, self._batch, horizon)
            return count, last or after

    async def _step(self) -> timedelta:
        if count := await self.compact():
            _log.info("log_compacted", events=count)
        return self._interval
