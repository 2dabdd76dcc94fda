"""Times and spans of time as people read them at night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


def spell_time(time: datetime) -> str:
    """Return a time in UTC to the minute: `2026-03-01 02:30 UTC`."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def spell_span(span: timedelta) -> str:
    """Return a span by its two largest units, cut to the minute: `2 d 3 h`, `4 h 10 min`, `7 min`.

    Less than a minute, also less than nothing, is `less than 1 min`.
    """
    if span < _MINUTE:
        return "less than 1 min"
    days, rest = divmod(span, _DAY)
    hours, rest = divmod(rest, _HOUR)
    parts = [(days, "d"), (hours, "h"), (rest // _MINUTE, "min")]
    largest = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[largest : largest + 2] if count)
