"""What becomes of runs whose time the clocks on the wall skip or show twice.

That is a custom of the program that starts them: see `Passage`.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from tocsin.common.wall_clock import end_of_gap, find_zone, near_zones, shown

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

_NOTHING = timedelta(0)


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


def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the IANA database.

    Raises RecurrenceError, with names that are near to a wrong one.
    """
    zone = find_zone(name)
    if zone is None:
        raise RecurrenceError(f'"{name}" is not a time zone of the IANA database. {_advice(name)}')
    return zone


def instants(wall: datetime, zone: ZoneInfo, passage: Passage) -> tuple[datetime, ...]:
    """Return when a run that is set for a time on the wall (without a zone) is due, in UTC.

    None, one, or two in order.
    """
    first, second = shown(wall, zone)
    if first == second:
        return (first,)
    if first > second:
        return (end_of_gap(wall, zone),) if passage is Passage.CAUGHT_UP else ()
    return (first, second) if passage is Passage.AS_SHOWN else (first,)


def still_to_repeat(time: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much the clocks are about to be put back over what they show at `time`.

    Zero when what they show then is not shown again.
    """
    local = time.astimezone(zone)
    first, second = shown(local, zone)
    return second - first if first < second and not local.fold else _NOTHING


def _advice(name: str) -> str:
    near = near_zones(name)
    if not near:
        return 'Write a name such as "Europe/Berlin", or nothing for UTC.'
    return f"Did you mean {' or '.join(near)}?"
