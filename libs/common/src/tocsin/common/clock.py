"""Time as an argument: everything that needs to know what time it is asks a Clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time in the world."""

    def now(self) -> datetime:
        """Return the time now, aware, in UTC, in whole microseconds."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)
