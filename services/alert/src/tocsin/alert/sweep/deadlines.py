"""Deadlines that pass: runs that did not come, hosts that fell silent, alerts that grow worse."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.alert.ledger.backup_commands import DeadlineAnswer
from tocsin.alert.store.looks import claim_looks, put_off_looks
from tocsin.common.errors import ResourceExhaustedError, TocsinError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tocsin.alert.ledger import Ledger
    from tocsin.alert.ledger.backup_commands import CallOffline, MissRun, Rise
    from tocsin.alert.ledger.commands import Result
    from tocsin.alert.store.looks import Looks
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

# How late a deadline may be found passed. What it raises bears the time of the deadline.
REST = timedelta(seconds=1)
# What this process does not get done is another's then, or its own again.
LEASE = timedelta(seconds=5)
# What cannot be decided is not tried again before.
PUT_OFF = timedelta(hours=1)
_BATCH = 500
_TOLD = 10

_log = structlog.get_logger(__name__)


class DeadlineSweep:
    """Claims what is to be looked at and lets the ledger decide; a step for a BackgroundLoop.

    Several processes may sweep at once: each claims what no other has. `blocked` counts the looks
    that found something which could not be decided, a schedule that cannot be computed say. It is
    put off for an hour and stands in nobody's way.
    """

    def __init__(
        self,
        looks: Looks,
        command: Callable[[str], MissRun | CallOffline | Rise],
        *,
        database: Database,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        """`command` makes of an id what the ledger is asked to decide."""
        self.blocked = 0
        self._looks = looks
        self._command = command
        self._database = database
        self._ledger = ledger
        self._clock = clock

    async def step(self) -> timedelta:
        """Look at what is due, at most 500 things, and return how long to rest."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await claim_looks(
                connection, self._looks, now=now, until=now + LEASE, limit=_BATCH
            )
        if not due:
            return REST
        results = await self._ledger.submit_many([self._command(each) for each in due])
        await self._settle(due, results, now)
        is_behind = len(due) == _BATCH and not any(map(_is_passing, results))
        return timedelta() if is_behind else REST

    async def _settle(self, due: Sequence[str], results: Sequence[Result], now: datetime) -> None:
        """Put off what the ledger cannot decide, unless it did so itself, and count it.

        What failed for want of a database or of room comes up again after the lease.
        """
        seen = list(zip(due, results, strict=True))
        refused = [
            each
            for each, result in seen
            if isinstance(result, TocsinError) and not _is_passing(result)
        ]
        if refused:
            async with self._database.connection() as connection:
                await put_off_looks(
                    connection,
                    self._looks,
                    refused,
                    claimed_until=now + LEASE,
                    until=now + PUT_OFF,
                )
        blocked = refused + [each for each, result in seen if _is_blocked(result)]
        if blocked:
            self.blocked += len(blocked)
            _log.warning(
                "deadlines_blocked",
                table=self._looks.table,
                count=len(blocked),
                ids=blocked[:_TOLD],
                look_again=(now + PUT_OFF).isoformat(),
            )


def _is_passing(result: Result) -> bool:
    """Whether it failed for a reason that is not its own."""
    return isinstance(result, UnavailableError | ResourceExhaustedError)


def _is_blocked(result: Result) -> bool:
    return isinstance(result, DeadlineAnswer) and result.is_blocked
