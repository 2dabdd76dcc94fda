"""How long to wait before the next try. Pure: the chance of jitter is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


def with_jitter(delay: timedelta, jitter: float, chance: float) -> timedelta:
    """Spread a delay by `± jitter` (0.2: 20 %), for a `chance` from 0 to 1; 0.5 is no change."""
    return delay * (1 + jitter * (2 * chance - 1))


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow by `factor` from `first` up to `ceiling`; jitter comes on top."""

    first: timedelta = timedelta(milliseconds=100)
    ceiling: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    jitter: float = 0.2

    def delay(self, failures: int, chance: float) -> timedelta:
        """Return the delay after that many failures in a row, counted from 1."""
        growth = self.factor ** min(max(failures, 1) - 1, 64)
        seconds = min(self.first.total_seconds() * growth, self.ceiling.total_seconds())
        return with_jitter(timedelta(seconds=seconds), self.jitter, chance)
