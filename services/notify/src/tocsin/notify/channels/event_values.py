"""How times, spans and names are written in the body of a webhook. Pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from enum import IntEnum


def rfc3339(time: datetime) -> str:
    """Write a time as RFC 3339, in UTC with microseconds: 2026-01-31T22:15:00.000000Z."""
    in_utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return f"{in_utc.isoformat(timespec='microseconds')[:-6]}Z"


def time_of(time: datetime | None) -> str | None:
    """Write a time, or None when there is none."""
    return rfc3339(time) if time is not None else None


def seconds_of(span: timedelta | None) -> int | None:
    """Write a span of time in whole seconds, or None when there is none."""
    return int(span.total_seconds()) if span is not None else None


def name_of(member: IntEnum | None) -> str | None:
    """Write the name of an enum's member in lower case, or None when there is none."""
    return member.name.lower() if member is not None else None
