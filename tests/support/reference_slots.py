"""When runs are due, worked out in another way than the engine does: by stretches of time in which
the clocks are not changed.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tocsin.alert.engine.wall_clock import Passage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.alert.domain.schedule import Cron, OnCalendar

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Plan:
    """A recurrence, and what its text stands for."""

    recurrence: Cron | OnCalendar
    times: tuple[time, ...]
    passage: Passage
    is_due_on: Callable[[date], bool] = lambda day: True


@dataclass(frozen=True)
class Stretch:
    """A time with one offset from UTC; `before` is the offset of the stretch before."""

    begin: datetime
    end: datetime
    offset: timedelta
    before: timedelta


@cache
def stretches(zone_name: str, begin: datetime, end: datetime) -> tuple[Stretch, ...]:
    zone = ZoneInfo(zone_name)

    def offset(at: datetime) -> timedelta:
        found = at.astimezone(zone).utcoffset()
        assert found is not None
        return found

    changes = [begin]
    at = begin
    while at < end:
        if offset(at) != offset(at + HOUR):
            changes.append(
                next(
                    at + step * MINUTE
                    for step in range(61)
                    if offset(at + step * MINUTE) == offset(at + HOUR)
                )
            )
        at += HOUR
    return tuple(
        Stretch(start, stop, offset(start), offset(start - MINUTE))
        for start, stop in zip(changes, [*changes[1:], end], strict=True)
    )


def reference_slots(plan: Plan, begin: datetime, end: datetime) -> list[datetime]:
    """Return the slots from `begin` on and before `end`, both in UTC."""
    first = (begin - DAY).date()
    walls = [
        datetime.combine(day, clock, tzinfo=UTC)
        for day in (first + count * DAY for count in range((end - begin).days + 3))
        if plan.is_due_on(day)
        for clock in sorted(plan.times)
    ]
    slots: set[datetime] = set()
    for stretch in stretches(plan.recurrence.time_zone, begin, end):
        shown = stretch.begin + stretch.offset
        would_be_shown = stretch.begin + stretch.before
        anew = would_be_shown if plan.passage is not Passage.AS_SHOWN else shown
        start = bisect_left(walls, max(shown, anew))
        stop = bisect_left(walls, stretch.end + stretch.offset)
        slots.update(wall - stretch.offset for wall in walls[start:stop])
        skipped = walls[bisect_left(walls, would_be_shown) : bisect_left(walls, shown)]
        if skipped and plan.passage is Passage.CAUGHT_UP:
            slots.add(stretch.begin)
    return sorted(slots)
