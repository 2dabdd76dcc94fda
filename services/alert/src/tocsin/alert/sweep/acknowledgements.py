"""Acknowledgements whose time has passed: their alerts are open again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.ledger.commands import ChangeAnswer, Lapse
from tocsin.alert.store.alerts import lapsed_acknowledgements

if TYPE_CHECKING:
    from tocsin.alert.ledger import Ledger
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

# How late an acknowledgement may be found expired. Its event bears the time it expired at.
REST = timedelta(seconds=1)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class AcknowledgementSweep:
    """Finds expired acknowledgements and lets the ledger end them; a step for a BackgroundLoop.

    Several processes may sweep at once: the ledger ends each acknowledgement once.
    """

    database: Database
    ledger: Ledger
    clock: Clock

    async def step(self) -> timedelta:
        """End what has expired, at most 500, and return how long to rest."""
        async with self.database.connection() as connection:
            due = await lapsed_acknowledgements(connection, self.clock.now(), _BATCH)
        if not due:
            return REST
        results = await self.ledger.submit_many([Lapse(alert_id) for alert_id in due])
        went_well = all(isinstance(result, ChangeAnswer) for result in results)
        return timedelta() if went_well and len(due) == _BATCH else REST
