"""When it is quiet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tocsin.notify.router.wall_clock import first_shown, last_shown, zone_of

if TYPE_CHECKING:
    from datetime import date

    from tocsin.notify.domain.route import QuietHours

_DAY = timedelta(days=1)


def quiet_until(quiet: QuietHours, at: datetime) -> datetime | None:
    """Return until when it is quiet, None when it is not quiet at `at`. Both are in UTC.

    A start that is shown twice counts the first time, an end the last time, and either of them at
    the change of the clocks when it is skipped.
    """
    today = at.astimezone(zone_of(quiet.time_zone)).date()
    for day in (today - _DAY, today):
        begin, end = _span(quiet, day)
        if _begins_on(quiet, day) and begin <= at < end:
            return end
    return None


def _begins_on(quiet: QuietHours, day: date) -> bool:
    return not quiet.days or day.weekday() in quiet.days


def _span(quiet: QuietHours, day: date) -> tuple[datetime, datetime]:
    zone = zone_of(quiet.time_zone)
    end_day = day if quiet.end > quiet.start else day + _DAY
    return (
        first_shown(datetime.combine(day, quiet.start), zone),
        last_shown(datetime.combine(end_day, quiet.end), zone),
    )
