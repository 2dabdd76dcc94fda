"""Times as people write and read them: `4h`, `3m ago`, `2026-01-01 03:12:45Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(?:\d+[smhdw])+", re.ASCII)
_PART = re.compile(r"(\d+)([smhdw])", re.ASCII)
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_LONGEST = timedelta(days=3_660)
# Up to which age in seconds a unit is used, and what stands for it.
_AGES = ((90, 1, "s"), (5_400, 60, "m"), (129_600, 3_600, "h"), (float("inf"), 86_400, "d"))


def parse_span(text: str) -> timedelta:
    """Read `90s`, `45m`, `4h`, `2d`, `1w` or several in a row such as `1h30m`.

    Raises ValueError that says what to write instead; so does a span of zero or over ten years.
    """
    given = text.strip().lower()
    if not _SPAN.fullmatch(given):
        raise ValueError(f"{text!r} is no length of time; write for example 30m, 4h, 2d or 1h30m")
    seconds = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(given))
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise ValueError(f"{text!r} is not between 1s and 10 years; write for example 4h")
    return timedelta(seconds=seconds)


def span(length: timedelta) -> str:
    """Tell a length of time as `parse_span` reads it, at most two units: `1d6h`, `15m`, `0s`."""
    seconds, told = int(length.total_seconds()), ""
    for name, unit in reversed(_UNITS.items()):
        if name != "w" and seconds >= unit:
            count, seconds = divmod(seconds, unit)
            told += f"{count}{name}"
    parts = re.findall(r"\d+[a-z]", told)
    return "".join(parts[:2]) or "0s"


def parse_moment(text: str) -> datetime:
    """Read a time by RFC 3339, its zone included. Raises ValueError that says what to write."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time; write for example 2026-01-31T03:15:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no zone; write {text.strip()}Z for UTC, or add +02:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is too far away; write a time between 0001 and 9999") from None


def parse_until(text: str, now: datetime) -> datetime:
    """Read a time by RFC 3339, or `07:30`: the next one by the zone of `now`."""
    of_day = _TIME_OF_DAY.fullmatch(text.strip())
    if of_day is None:
        return parse_moment(text)
    hour, minute = (int(part) for part in of_day.groups())
    moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (moment if moment > now else moment + timedelta(days=1)).astimezone(UTC)


def age(moment: datetime, now: datetime) -> str:
    """Tell how long ago a time was, or how far ahead it is, in one unit."""
    seconds = (now - moment).total_seconds()
    size = abs(seconds)
    if size < 1:
        return "now"
    unit, name = next((unit, name) for limit, unit, name in _AGES if size < limit)
    if seconds > 0:
        return f"{int(size // unit)}{name} ago"
    return f"in {round(size / unit)}{name}"  # 4 h from a moment ago are still 4 h


def stamp(moment: datetime) -> str:
    """Tell a time to the second, in UTC."""
    plain = moment.astimezone(UTC).replace(tzinfo=None)
    return plain.isoformat(" ", "seconds") + "Z"


def moment_of(timestamp: Timestamp) -> datetime:
    """Return a protobuf time, aware, in UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)
