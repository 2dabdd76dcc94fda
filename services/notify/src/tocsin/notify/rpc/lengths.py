"""Lengths of time in requests and answers: google.protobuf.Duration, and what may be given."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

if TYPE_CHECKING:
    from tocsin.common.errors import Violations

_NANOS = 999_999_999
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def read_length(
    found: Violations, path: str, given: Duration, least: timedelta, most: timedelta
) -> timedelta:
    """Return a length of time, or note why it cannot be taken: then it is `least`."""
    seconds = given.seconds + given.nanos / 1e9
    if abs(given.nanos) > _NANOS or given.seconds * given.nanos < 0:
        found.add(path, "must have nanos from -999,999,999 to 999,999,999, signed as the seconds")
    elif not least.total_seconds() <= seconds <= most.total_seconds():
        found.add(path, f"is {seconds:g} s; write {span_text(least)} to {span_text(most)}")
    else:
        return timedelta(seconds=given.seconds, microseconds=given.nanos // 1000)
    return least


def to_duration(length: timedelta) -> Duration:
    """Return a length of time as a Duration, exact to the microsecond."""
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def span_text(length: timedelta) -> str:
    """Return a length of time in the largest unit that it is a whole number of: `15 minutes`."""
    seconds = length.total_seconds()
    for size, name in _UNITS:
        if seconds and seconds % size == 0:
            count = int(seconds // size)
            return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
    return f"{seconds:g} seconds"
