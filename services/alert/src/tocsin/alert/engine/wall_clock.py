"""Time zones, and the moments at which a clock on the wall shows a given time.

When the clocks are put forward some times of the day are never shown; when they are put back some
are shown twice. What becomes of the runs that are due then is a custom of the program that starts
them: see `Passage`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_MINUTE = timedelta(minutes=1)
_NOTHING = timedelta(0)

# Files that lie with the zones and are none: another machine reads them otherwise, or counts
# leap seconds.
_NO_ZONES = frozenset({"localtime", "posixrules", "posix", "right"})


class RecurrenceError(ValueError):
    """Times that cannot be computed. The text says what is wrong and what to write instead."""


class Passage(Enum):
    """How runs pass through a change of the clocks.

    CAUGHT_UP: a time that is skipped is due when the clocks have moved, one that is shown twice
    only the first time. cron(8) of Debian, for jobs at a particular time.
    AS_SHOWN: a time is due whenever it is shown: never or twice. cron(8) of Debian, for jobs with
    `*` in the hour or the minute.
    FIRST_SHOWN: a time is due when it is first shown, if it is. systemd.
    """

    CAUGHT_UP = 1
    AS_SHOWN = 2
    FIRST_SHOWN = 3


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the IANA database: the machine's, else that of the package tzdata.

    Raises RecurrenceError, with names that are near to a wrong one.
    """
    try:
        if name.split("/", maxsplit=1)[0] not in _NO_ZONES:
            return ZoneInfo(name)
    # A folder of zones, a name with a dot or a NUL: the look-up fails in its own way.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise RecurrenceError(f'"{name}" is not a time zone of the IANA database. {_advice(name)}')


def instants(wall: datetime, zone: ZoneInfo, passage: Passage) -> tuple[datetime, ...]:
    """Return when a run that is set for a time on the wall (without a zone) is due, in UTC.

    None, one, or two in order.
    """
    first, second = _shown(wall, zone)
    if first == second:
        return (first,)
    if first > second:
        return (_end_of_gap(wall, zone),) if passage is Passage.CAUGHT_UP else ()
    return (first, second) if passage is Passage.AS_SHOWN else (first,)


def still_to_repeat(time: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much the clocks are about to be put back over what they show at `time`.

    Zero when what they show then is not shown again.
    """
    local = time.astimezone(zone)
    first, second = _shown(local, zone)
    return second - first if first < second and not local.fold else _NOTHING


def _shown(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when a time is shown, by the offset before and by that after a change of the clocks.

    Equal when no change is near. The first is the later one when the time is skipped.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    # Clocks are changed at full minutes.
    wall = wall.replace(second=0, microsecond=0)
    first, second = _shown(wall, zone)
    while first > second:
        wall += _MINUTE
        first, second = _shown(wall, zone)
    return first


def _advice(name: str) -> str:
    near = _near(name)
    if not near:
        return 'Write a name such as "Europe/Berlin", or nothing for UTC.'
    return f"Did you mean {' or '.join(near)}?"


def _near(name: str) -> list[str]:
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
