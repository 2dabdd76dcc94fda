"""Time zones, and the moments at which a clock on the wall shows a given time.

When the clocks are put forward some times of the day are never shown; when they are put back some
are shown twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_MINUTE = timedelta(minutes=1)

# Files that lie with the zones and are none: another machine reads them otherwise, or counts
# leap seconds.
_NO_ZONES = frozenset({"localtime", "posixrules", "posix", "right"})


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo | None:
    """Return a zone of the IANA database: the machine's, else that of the package tzdata.

    None when it has no zone of that name.
    """
    try:
        if name.split("/", maxsplit=1)[0] not in _NO_ZONES:
            return ZoneInfo(name)
    # A folder of zones, a name with a dot or a NUL: the look-up fails in its own way.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    return None


def near_zones(name: str) -> list[str]:
    """Return up to 3 zones whose name, or whose place in the name, reads much like this one."""
    # The sign of Etc/GMT+2 is the other way round than a person who wrote UTC+2 has meant it.
    zones = sorted(
        zone for zone in available_timezones() - _NO_ZONES if not zone.startswith("Etc/GMT")
    )
    wanted = name.strip().replace(" ", "_").lower()
    places = [zone for zone in zones if wanted in (zone.lower(), zone.lower().split("/")[-1])]
    if places:
        return places[:3]
    by_name = {zone.lower(): zone for zone in zones}
    by_place = {zone.lower().split("/")[-1]: zone for zone in zones}
    close = [by_name[near] for near in get_close_matches(wanted, by_name)]
    close += [by_place[near] for near in get_close_matches(wanted.split("/")[-1], by_place)]
    return list(dict.fromkeys(close))[:3]


def shown(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when a time is shown, by the offset before and by that after a change of the clocks.

    Both in UTC. Equal when no change is near. The first is the later one when the time is skipped.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment, in UTC, at which a time that is skipped has been passed over."""
    # Clocks are changed at full minutes.
    wall = wall.replace(second=0, microsecond=0)
    first, second = shown(wall, zone)
    while first > second:
        wall += _MINUTE
        first, second = shown(wall, zone)
    return first
