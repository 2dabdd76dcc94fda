"""After the clock went back: nothing is left waiting for a time that was never meant.

What came while the clock stood a year ahead is due in a year, and so is the next try of a channel
that was down then. Where this process sees the clock go back, all that waits for a time to come is
looked at again. What was left by another one is known by how far away it is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from tocsin.common.clock import Clock

FURTHEST: Final = timedelta(days=9)
"""A delay is 7 days at most, and varies by 20 %. What a silence holds is not among it."""

_EVERY = timedelta(minutes=1)
# A clock that is set right step by step goes back by less.
_STEP = timedelta(seconds=10)

_WAITING = """
UPDATE deliveries SET next_attempt_time = $1
 WHERE state IN (1, 6) AND held_by IS NULL AND next_attempt_time > $2
"""
_PAUSES = "UPDATE channel_states SET tokens_time = $1 WHERE tokens_time > $2"
_PROBES = "UPDATE channel_states SET probe_time = $1 WHERE probe_time > $2"


class ClockWatch:
    """Looks whether the clock went back, when asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: datetime | None = None
        self._looked: datetime | None = None

    def furthest(self) -> datetime | None:
        """Return the time beyond which nothing is believed, None when it need not be looked for.

        That is once a minute, and whenever the clock went back by more than 10 s.
        """
        now = self._clock.now()
        asked, self._asked = self._asked, now
        if asked is not None and asked - now > _STEP:
            self._looked = now
            return now
        if self._looked is not None and now - self._looked < _EVERY:
            return None
        self._looked = now
        return now + FURTHEST


async def disbelieve(connection: asyncpg.Connection, furthest: datetime, now: datetime) -> int:
    """Let what waits for a time after `furthest` be due now, and return how many deliveries did."""
    for statement in (_PAUSES, _PROBES):
        await connection.execute(statement, now, furthest)
    told = await connection.execute(_WAITING, now, furthest)
    return int(told.rpartition(" ")[2])
