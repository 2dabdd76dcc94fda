"""Answers that are remembered no longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.store.requests import purge_requests

if TYPE_CHECKING:
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

REST = timedelta(minutes=1)
# Between full batches, so that a large backlog leaves room for the writers.
BREATH = timedelta(milliseconds=50)
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class RequestSweep:
    """Deletes answers older than 24 h in small batches; a step for a BackgroundLoop."""

    database: Database
    clock: Clock

    async def step(self) -> timedelta:
        """Delete at most 1,000 of them and return how long to rest."""
        async with self.database.connection() as connection:
            gone = await purge_requests(connection, self.clock.now(), _BATCH)
        return BREATH if gone == _BATCH else REST
