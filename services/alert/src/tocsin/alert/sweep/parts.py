"""The sweeps of one process, each in a loop of its own: none waits for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.ledger.backup_commands import CallOffline, MissRun, Rise
from tocsin.alert.store.looks import HOST_LOOKS, RISE_LOOKS, SCHEDULE_LOOKS, Looks
from tocsin.alert.sweep.acknowledgements import AcknowledgementSweep
from tocsin.alert.sweep.deadlines import DeadlineSweep
from tocsin.alert.sweep.floods import FloodSweep
from tocsin.alert.sweep.jobs import JobSweep
from tocsin.alert.sweep.requests import RequestSweep
from tocsin.alert.sweep.suppressions import SuppressionSweep
from tocsin.common.lifecycle import BackgroundLoop

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from tocsin.alert.ledger import Ledger
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Makes the loops. `database` is the one that is written to."""

    database: Database
    ledger: Ledger
    clock: Clock

    def loops(
        self, *, suppression_grace: timedelta, job_retention: timedelta
    ) -> list[BackgroundLoop]:
        """Return all of them, not started."""
        database, ledger, clock = self.database, self.ledger, self.clock
        acknowledgements = AcknowledgementSweep(database, ledger, clock)
        suppressions = SuppressionSweep(database, ledger, clock, suppression_grace)
        floods = BackgroundLoop("floods", FloodSweep(database, ledger, clock).step)
        ledger.floods.wanted = floods.wake
        return [
            floods,
            BackgroundLoop("hosts", self.deadlines(HOST_LOOKS, CallOffline).step),
            BackgroundLoop("schedules", self.deadlines(SCHEDULE_LOOKS, MissRun).step),
            BackgroundLoop("dangers", self.deadlines(RISE_LOOKS, Rise).step),
            BackgroundLoop("suppressions", suppressions.step),
            BackgroundLoop("acknowledgements", acknowledgements.step),
            BackgroundLoop("requests", RequestSweep(database, clock).step),
            BackgroundLoop("jobs", JobSweep(database, clock, job_retention).step),
        ]

    def deadlines(
        self, looks: Looks, command: Callable[[str], MissRun | CallOffline | Rise]
    ) -> DeadlineSweep:
        """Return a sweep over one kind of deadline."""
        return DeadlineSweep(
            looks, command, database=self.database, ledger=self.ledger, clock=self.clock
        )
