"""Time zones, and when a clock on the wall shows a time, through changes of summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_MINUTE = timedelta(minutes=1)
# Files that lie with the zones and are none.
_NO_ZONES = frozenset({"localtime", "posixrules", "posix", "right"})


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the IANA database. Raises ValueError, which says what to write instead."""
    try:
        if name.split("/", maxsplit=1)[0] not in _NO_ZONES:
            return ZoneInfo(name)
    # A folder of zones, a name with a dot or a NUL: the look-up fails in its own way.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    near = _near(name)
    advice = f"did you mean {' or '.join(near)}?" if near else "write one such as Europe/Berlin"
    raise ValueError(f"{name!r} is no time zone; {advice}")


def first_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when `wall` (without a zone) is shown first, in UTC.

    What is skipped counts as the moment at which the clocks are put forward.
    """
    early, late = _shown(wall, zone)
    return early if early <= late else _end_of_gap(wall, zone)


def last_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when `wall` is shown last: the second time, where the clocks are put back."""
    early, late = _shown(wall, zone)
    return late if early <= late else _end_of_gap(wall, zone)


def _shown(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when it is shown by the offset before, and by that after a change of the clocks.

    Equal when no change is near. The first is the later one when the time is skipped.
    """
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return early, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    # Clocks are changed at full minutes.
    wall = wall.replace(second=0, microsecond=0)
    early, late = _shown(wall, zone)
    while early > late:
        wall += _MINUTE
        early, late = _shown(wall, zone)
    return early


def _near(name: str) -> list[str]:
    """Return up to 3 zones whose name, or whose place in the name, reads much like this one."""
    # The sign of Etc/GMT+2 is the other way round than a person who wrote UTC+2 has meant it.
    zones = sorted(
        zone for zone in available_timezones() - _NO_ZONES if not zone.startswith("Etc/GMT")
    )
    wanted = name.strip().replace(" ", "_").lower()
    by_name = {zone.lower(): zone for zone in zones}
    by_place = {zone.lower().split("/")[-1]: zone for zone in zones}
    if meant := by_name.get(wanted) or by_place.get(wanted):
        return [meant]
    close = [by_name[near] for near in get_close_matches(wanted, by_name)]
    close += [by_place[near] for near in get_close_matches(wanted.split("/")[-1], by_place)]
    return list(dict.fromkeys(close))[:3]
