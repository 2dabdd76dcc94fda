"""When an observation counts as observed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

# A clock further ahead than this is wrong: its times would make every later report of the key,
# from any clock, look late.
FURTHEST_AHEAD = timedelta(minutes=5)

# The very first instant of the calendar is minus infinity to asyncpg, and comes back from the
# database without a time zone.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)


def observed_at(given: datetime | None, received: datetime) -> datetime:
    """Return the time that an observation stands at.

    `given` is what the caller said, None when it said nothing: then it is `received`, the
    server's time of receipt. A time more than 5 minutes ahead of the server is clamped to the
    time of receipt, never refused. Nothing is observed before the second microsecond of year 1.
    """
    if given is None or given - received > FURTHEST_AHEAD:
        return received
    return max(given, EARLIEST)
