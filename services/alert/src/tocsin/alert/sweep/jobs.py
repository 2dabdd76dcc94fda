"""Jobs that are remembered no longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.store.job_retention import purge_jobs

if TYPE_CHECKING:
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

REST = timedelta(minutes=1)
# Between full batches, so that a large backlog leaves room for the writers.
BREATH = timedelta(milliseconds=50)
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class JobSweep:
    """Deletes jobs last reported longer than `retention` ago; a step for a BackgroundLoop."""

    database: Database
    clock: Clock
    retention: timedelta

    async def step(self) -> timedelta:
        """Delete at most 1,000 of them and return how long to rest."""
        before = self.clock.now() - self.retention
        async with self.database.connection() as connection:
            gone = await purge_jobs(connection, before, _BATCH)
        return BREATH if gone == _BATCH else REST
