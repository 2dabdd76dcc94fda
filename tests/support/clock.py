"""A clock that moves only when a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta | None = None, *, seconds: float = 0.0) -> datetime:
        """Move on (or back) and return the new time."""
        self._now += (by or timedelta()) + timedelta(seconds=seconds)
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now
