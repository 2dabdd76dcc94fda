"""Alerts that outlive the one that explained them: they come out by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.ledger.backup_commands import DeadlineAnswer, Unsuppress
from tocsin.alert.store.suppressions import outlived_suppressions

if TYPE_CHECKING:
    from tocsin.alert.ledger import Ledger
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

# How late an alert may come out. Its event bears the time at which it was to.
REST = timedelta(seconds=5)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class SuppressionSweep:
    """Finds alerts whose root ended longer than `grace` ago, or explains no longer; a step for a
    BackgroundLoop.

    Several processes may sweep at once: the ledger lets each alert come out once.
    """

    database: Database
    ledger: Ledger
    clock: Clock
    grace: timedelta

    async def step(self) -> timedelta:
        """Let at most 500 alerts come out, and return how long to rest."""
        ended_by = self.clock.now() - self.grace
        async with self.database.connection() as connection:
            due = await outlived_suppressions(connection, ended_by, _BATCH)
        if not due:
            return REST
        results = await self.ledger.submit_many(
            [Unsuppress(alert_id, self.grace) for alert_id in due]
        )
        # Unless some came out, the same would be found again at once.
        changed = any(isinstance(result, DeadlineAnswer) and result.changed for result in results)
        return timedelta() if changed and len(due) == _BATCH else REST
