"""When something was, by the wall clock and by one that no hand can turn."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# On Linux CLOCK_MONOTONIC stands still while the machine sleeps, CLOCK_BOOTTIME does not.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as one machine saw it.

    `wall` is what its clock said, `uptime` how long it had been running; the latter compares only
    with moments of the same `boot_id`. An empty one is not known, and compares with none.
    """

    wall: datetime
    uptime: timedelta
    boot_id: str

    def age(self, now: Moment) -> timedelta:
        """Return how long ago it was: truly within one boot, by the wall clock else."""
        if self._is_comparable(now):
            return now.uptime - self.uptime
        return now.wall - self.wall

    def on_the_clock_of(self, now: Moment) -> timedelta:
        """Return what to add to a time read then, to have it as the wall clock of `now` tells it.

        Zero over a boot: how far the clock was turned meanwhile is not known.
        """
        return now.wall - self.wall - self.age(now)

    def _is_comparable(self, now: Moment) -> bool:
        return self.boot_id == now.boot_id != "" and now.uptime >= self.uptime


class MachineClock(Protocol):
    """Tells moments."""

    def __call__(self) -> Moment:
        """Return this moment."""
        ...


def this_moment() -> Moment:
    """Return this moment by the clocks of this machine."""
    uptime = timedelta(microseconds=time.clock_gettime_ns(_STEADY) // 1_000)
    return Moment(datetime.now(UTC), uptime, _boot_id())


def _boot_id() -> str:
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""
