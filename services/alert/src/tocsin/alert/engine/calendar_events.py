"""Calendar events, as systemd.time(7) has them, read with oncalendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncalendar import BaseIterator, OnCalendarError

from tocsin.alert.engine.timetables import ANY_TIME, Timetable
from tocsin.alert.engine.wall_clock import Passage, RecurrenceError, zone_of

if TYPE_CHECKING:
    from datetime import date


def read_calendar_event(expression: str) -> Timetable:
    """Read one calendar event, without a time zone and without fractions of a second.

    Raises RecurrenceError.
    """
    try:
        read = BaseIterator(expression, ANY_TIME)
    except OnCalendarError as error:
        raise RecurrenceError(_why_not(expression, str(error))) from None
    years = frozenset(read.years)

    def occurs_on(day: date) -> bool:
        return day.year in years and read.match_dow(day) and read.match_dom(day)

    return Timetable(
        hours=tuple(sorted(read.hours)),
        minutes=tuple(sorted(read.minutes)),
        seconds=tuple(sorted(read.seconds)),
        months=frozenset(read.months),
        occurs_on=occurs_on,
        passage=Passage.FIRST_SHOWN,
    )


def _why_not(expression: str, complaint: str) -> str:
    event, _, last = expression.rpartition(" ")
    if event and _is_zone(last):
        return f'"{expression}" names a time zone. Write "{event}", and "{last}" as the time_zone.'
    return (
        f'"{expression}" is not a calendar event of systemd.time(7): {complaint.lower()}. '
        'Write it such as "daily", "Mon..Fri 02:30" or "*-*-01 04:00:00"; a range runs upwards.'
    )


def _is_zone(name: str) -> bool:
    try:
        zone_of(name)
    except RecurrenceError:
        return False
    return True
