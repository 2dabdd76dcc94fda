"""Times of a sender whose clock is wrong, moved to where they lie in the world."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.engine.observe import EARLIEST

if TYPE_CHECKING:
    from datetime import datetime

# Less is not told apart from the time that a report is on its way.
TOLERATED = timedelta(seconds=30)
_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How a sender's clock stood against the server's when a report came.

    `skew` is how far it was ahead (negative: behind), None when the report did not tell its own
    time. `correction` is what is added to every time of that report: zero for a skew of 30 s or
    less. `received` is the server's time of receipt.
    """

    skew: timedelta | None
    correction: timedelta
    received: datetime

    def corrected(self, time: datetime) -> datetime:
        """Return when a time of the report was in the world, never later than its receipt."""
        if time - EARLIEST < -self.correction:
            return EARLIEST
        if self.received - time < self.correction:
            return self.received
        return time + self.correction

    def corrected_run(
        self, start: datetime | None, finish: datetime
    ) -> tuple[datetime | None, datetime]:
        """Return start and finish of a run in the world; it lasts as long as the sender said.

        `start` is at or before `finish`, or None when it is not known.
        """
        ended = self.corrected(finish)
        if start is None:
            return None, ended
        return (ended - min(finish - start, ended - EARLIEST)), ended


def read_clock(send_time: datetime | None, received: datetime) -> ClockReading:
    """Compare the sender's clock at sending, where it told it, with the server's at receipt."""
    if send_time is None:
        return ClockReading(None, _NONE, received)
    skew = send_time - received
    return ClockReading(skew, -skew if abs(skew) > TOLERATED else _NONE, received)
