"""Which times of which days, as clocks on the wall show them: what an expression names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from tocsin.alert.engine.wall_clock import Passage

# From one 29 February to the next it is 8 years when a century without one lies between.
HORIZON = timedelta(days=8 * 366)

# A start that the libraries ask for and that is not used.
ANY_TIME = datetime.min  # noqa: DTZ901 - without a zone they leave changes of the clocks alone

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Timetable:
    """All of these hours, minutes and seconds, each in order, on the days that `occurs_on` names.

    `months` are those in which there may be such a day.
    """

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    months: frozenset[int]
    occurs_on: Callable[[date], bool]
    passage: Passage

    def walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Yield the times after `wall` in order, all without a zone, for 8 years."""
        today = wall.date()
        for day in self._days_from(today):
            for clock in self._times_after(wall.time()) if day == today else self._times():
                yield datetime.combine(day, clock)

    def _days_from(self, day: date) -> Iterator[date]:
        last = day + HORIZON
        while day <= last:
            if day.month not in self.months:
                day = (day.replace(day=1) + 31 * _DAY).replace(day=1)
                continue
            if self.occurs_on(day):
                yield day
            day += _DAY

    def _times(self) -> Iterator[time]:
        for hour in self.hours:
            for minute in self.minutes:
                for second in self.seconds:
                    yield time(hour, minute, second)

    def _times_after(self, clock: time) -> Iterator[time]:
        hour, minute, second = clock.hour, clock.minute, clock.second
        for at_hour in self.hours[bisect_left(self.hours, hour) :]:
            first = bisect_left(self.minutes, minute) if at_hour == hour else 0
            for at_minute in self.minutes[first:]:
                is_now = (at_hour, at_minute) == (hour, minute)
                gone = bisect_right(self.seconds, second) if is_now else 0
                for at_second in self.seconds[gone:]:
                    yield time(at_hour, at_minute, at_second)
