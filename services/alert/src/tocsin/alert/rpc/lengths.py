"""google.protobuf.Duration to timedelta and back, and the bounds of lengths of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

if TYPE_CHECKING:
    from tocsin.common.errors import Violations

_NANOS = 999_999_999
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be given: `least` to `most`, both included. `unset` says what none means."""

    least: timedelta
    most: timedelta
    unset: str = ""


def read_length(found: Violations, path: str, given: Duration, bounds: Bounds) -> timedelta:
    """Return a length of time, or note why it cannot be taken."""
    told = f"write {span_text(bounds.least)} to {span_text(bounds.most)}"
    if bounds.unset:
        told += f", or leave it unset: {bounds.unset}"
    if abs(given.nanos) > _NANOS or given.seconds * given.nanos < 0:
        found.add(path, "must have nanos from -999,999,999 to 999,999,999, signed as the seconds")
        return bounds.least
    if given.seconds < 0 or given.nanos < 0:
        found.add(path, f"is negative; {told}")
    elif given.seconds > bounds.most.total_seconds() or _span(given) > bounds.most:
        whole_days = (given.seconds + (given.nanos > 0) - 1) // 86_400
        found.add(path, f"is over {whole_days:,} days; {told}")
    elif _span(given) < bounds.least:
        found.add(path, f"is {span_text(_span(given))}; {told}")
    else:
        return _span(given)
    return bounds.least


def to_duration(length: timedelta) -> Duration:
    """Return a length of time as a Duration, exact to the microsecond."""
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def span_text(length: timedelta) -> str:
    """Return a length of time in the largest unit that it is a whole number of: `15 minutes`."""
    seconds = length.total_seconds()
    if not seconds:
        return "0"
    for size, name in _UNITS:
        if seconds % size == 0:
            count = int(seconds // size)
            return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
    return f"{seconds:g} seconds"


def _span(given: Duration) -> timedelta:
    return timedelta(seconds=given.seconds, microseconds=given.nanos // 1000)
