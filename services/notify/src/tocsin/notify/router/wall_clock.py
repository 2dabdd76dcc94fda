"""Time zones, and when a clock on the wall shows a time first and last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.wall_clock import end_of_gap, find_zone, near_zones, shown

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo


def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the IANA database. Raises ValueError, which says what to write instead."""
    zone = find_zone(name)
    if zone is None:
        near = near_zones(name)
        advice = f"did you mean {' or '.join(near)}?" if near else "write one such as Europe/Berlin"
        raise ValueError(f"{name!r} is no time zone; {advice}")
    return zone


def first_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when `wall` (without a zone) is shown first, in UTC.

    What is skipped counts as the moment at which the clocks are put forward.
    """
    early, late = shown(wall, zone)
    return early if early <= late else end_of_gap(wall, zone)


def last_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when `wall` is shown last: the second time, where the clocks are put back."""
    early, late = shown(wall, zone)
    return late if early <= late else end_of_gap(wall, zone)
