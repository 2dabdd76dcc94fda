"""Times that come again, in UTC, through changes of summer time.

An hour that is skipped is made up for at its end, one that comes twice counts once.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError
from oncalendar import BaseIterator, OnCalendarError

from tocsin.notify.domain.recurrence import RecurrenceForm
from tocsin.notify.router.wall_clock import first_shown, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tocsin.notify.domain.recurrence import Recurrence

# From one 29 February to the next it is 8 years when a century without one lies between.
_HORIZON = timedelta(days=8 * 366)
_CRON_FIELDS = 5
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def next_time(recurrence: Recurrence, after: datetime) -> datetime | None:
    """Return the first time strictly after `after`, None when none comes within 8 years.

    Raises ValueError for what `check` finds wrong.
    """
    return next(times_after(recurrence, after), None)


def times_after(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    """Yield the times strictly after `after` in order, for 8 years. Raises as `next_time`."""
    zone = zone_of(recurrence.time_zone)
    wall = after.astimezone(zone).replace(tzinfo=None)
    last = after.astimezone(UTC)
    for due in _walls(recurrence, wall):
        if due > wall + _HORIZON:
            return
        time = first_shown(due, zone)
        if time > last:  # what is caught up at one moment counts once
            yield time
            last = time


def check(recurrence: Recurrence, now: datetime) -> str | None:
    """Return what is wrong with the expression, and what to write instead; None when nothing is.

    It is wrong, too, when it comes to an end within 8 years.
    """
    try:
        _walls(recurrence, now.replace(tzinfo=None))
    except ValueError as error:
        return str(error)
    for moment in (now, now + _HORIZON):
        if next_time(recurrence, moment) is None:
            return (
                f"{recurrence.expression!r} does not come again and again: write a day that one of"
                " its months has, and no year"
            )
    return None


def _walls(recurrence: Recurrence, wall: datetime) -> Iterator[datetime]:
    """Return the times after `wall` as clocks on the wall show them, none of them in a zone."""
    if recurrence.form is RecurrenceForm.CRON:
        return _cron(recurrence.expression, wall)
    return _on_calendar(recurrence.expression, wall)


def _cron(expression: str, wall: datetime) -> Iterator[datetime]:
    spelled = _WORDS.get(expression.strip().lower(), expression)
    count = len(spelled.split())
    if count != _CRON_FIELDS:
        raise ValueError(
            f"{expression!r} has {count} {'field' if count == 1 else 'fields'}; write five: minute,"
            " hour, day of month, month and day of week, such as '30 7 * * mon-fri'"
        )
    try:
        return CronSim(spelled, wall)
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise ValueError(
            f"{expression!r} cannot be read: look at the {field}; write it such as"
            " '30 7 * * mon-fri', ranges upwards, steps as */15"
        ) from None


def _on_calendar(expression: str, wall: datetime) -> Iterator[datetime]:
    try:
        return BaseIterator(expression.strip(), wall)
    except OnCalendarError as error:
        event, _, last = expression.strip().rpartition(" ")
        if event and _is_zone(last):
            raise ValueError(
                f"{expression!r} names a time zone; write {event!r}, and {last!r} as the time_zone"
            ) from None
        raise ValueError(
            f"{expression!r} is no calendar event ({str(error).lower()}); write it such as"
            " 'Mon..Fri 07:30' or '*-*-01 04:00', ranges upwards"
        ) from None


def _is_zone(name: str) -> bool:
    try:
        zone_of(name)
    except ValueError:
        return False
    return True
