"""When runs are due: the slots of a recurrence, in UTC, through every change of the clocks."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from tocsin.alert.domain.schedule import Cron, Interval, OnCalendar
from tocsin.alert.engine.calendar_events import read_calendar_event
from tocsin.alert.engine.cron_expressions import read_cron
from tocsin.alert.engine.timetables import HORIZON, Timetable
from tocsin.alert.engine.wall_clock import (
    Passage,
    RecurrenceError,
    instants,
    still_to_repeat,
    zone_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tocsin.alert.domain.schedule import Recurrence

__all__ = ["RecurrenceError", "check_recurrence", "slot_after", "slots_between"]

SHORTEST_INTERVAL = timedelta(minutes=1)
LONGEST_INTERVAL = timedelta(days=366)

_NOTHING = timedelta(0)
# No zone puts its clocks back by more.
_LONGEST_REPEAT = timedelta(hours=3)


def check_recurrence(recurrence: Recurrence, now: datetime) -> None:
    """Refuse times that cannot be computed, that are not within 8 years, or that come to an end.

    An interval is 1 minute to 366 days. Raises RecurrenceError.
    """
    if isinstance(recurrence, Interval):
        if not SHORTEST_INTERVAL <= recurrence.length <= LONGEST_INTERVAL:
            raise RecurrenceError(
                f"An interval is 1 minute to 366 days, not {recurrence.length.total_seconds():g} s."
            )
        return
    slot_after(recurrence, now)
    try:
        slot_after(recurrence, now + HORIZON)
    except RecurrenceError:
        raise RecurrenceError(
            f'"{recurrence.expression}" does not come again within 8 years each time. Write "*" '
            "for the year, or a day that comes more often."
        ) from None


def slot_after(recurrence: Cron | OnCalendar, time: datetime) -> datetime:
    """Return the first slot strictly after `time`, in UTC.

    Raises RecurrenceError when the expression or the zone cannot be read, or nothing is due
    within 8 years.
    """
    table = _read(recurrence)
    zone = zone_of(recurrence.time_zone)
    slot = next(_slots_from(time, table, zone, _NOTHING), None)
    if table.passage is Passage.AS_SHOWN and (repeat := still_to_repeat(time, zone)):
        # What was shown just before is shown again, perhaps before anything new is.
        again = next(_slots_from(time, table, zone, repeat), None)
        slot = again if slot is None else min(slot, again or slot)
    if slot is None:
        raise RecurrenceError(
            f'"{recurrence.expression}" never occurs in the next 8 years. Write a day that one of '
            'its months has, and "*" for the year.'
        )
    return slot


def slots_between(
    recurrence: Cron | OnCalendar, after: datetime, until: datetime, limit: int = 10_000
) -> int:
    """Return how many slots lie after `after` and not after `until`; at most `limit`.

    Raises RecurrenceError.
    """
    table = _read(recurrence)
    zone = zone_of(recurrence.time_zone)
    count = 0
    last = after
    for slot in _slots_from(after, table, zone, still_to_repeat(after, zone)):
        if slot > until + _LONGEST_REPEAT or count >= limit:
            break
        # Several that are skipped are one when they are caught up.
        count += slot <= until and slot != last
        last = slot
    return count


@lru_cache(maxsize=2048)
def _read(recurrence: Cron | OnCalendar) -> Timetable:
    expression = recurrence.expression.strip()
    if isinstance(recurrence, OnCalendar):
        return read_calendar_event(expression)
    return read_cron(expression)


def _slots_from(
    time: datetime, table: Timetable, zone: ZoneInfo, back: timedelta
) -> Iterator[datetime]:
    """Yield the slots after `time`, in the order of what is on the wall.

    This is their own order but where the clocks are put back. `back` begins that much before what
    the wall shows at `time`.
    """
    wall = time.astimezone(zone).replace(tzinfo=None) - back
    for due in table.walls_after(wall):
        for instant in instants(due, zone, table.passage):
            if instant > time:
                yield instant
