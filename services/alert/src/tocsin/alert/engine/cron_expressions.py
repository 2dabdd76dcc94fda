"""Expressions of cron, as crontab(5) of Debian has them, read with cronsim."""

from __future__ import annotations

from cronsim import CronSim, CronSimError

from tocsin.alert.engine.timetables import ANY_TIME, Timetable
from tocsin.alert.engine.wall_clock import Passage, RecurrenceError

# The words of crontab(5). @hourly counts as having `*` in its hour.
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BOUNDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT, where 0 and 7 are Sunday",
}
_EXAMPLE = (
    'Write five fields, minute, hour, day of month, month and day of week, such as "30 2 * * *" '
    "for 02:30 of each day."
)


def read_cron(expression: str) -> Timetable:
    """Read five fields, or one of the words but @reboot. `L` and `#` of cronsim are read too.

    Raises RecurrenceError.
    """
    if expression.startswith("@"):
        expression = _spell_out(expression)
    fields = expression.split()
    if len(fields) != len(_BOUNDS):
        raise RecurrenceError(_not_five(fields))
    try:
        read = CronSim(expression, ANY_TIME)
    except CronSimError as error:
        raise RecurrenceError(_why_not(fields, str(error))) from None
    # cron(8): a `*` that begins the minute or the hour makes it a job with wildcards.
    has_star = fields[0].startswith("*") or fields[1].startswith("*")
    return Timetable(
        hours=tuple(sorted(read.hours)),
        minutes=tuple(sorted(read.minutes)),
        seconds=(0,),
        months=frozenset(read.months),
        occurs_on=read.match_day,
        passage=Passage.AS_SHOWN if has_star else Passage.CAUGHT_UP,
    )


def _spell_out(word: str) -> str:
    if word.lower() == "@reboot":
        raise RecurrenceError(
            "@reboot names no time, so that no run is ever due. Write when a run is due, such as "
            '"30 2 * * *", or give an interval.'
        )
    if word.lower() not in _WORDS:
        raise RecurrenceError(f'"{word}" is not a word of cron. Write one of {", ".join(_WORDS)}.')
    return _WORDS[word.lower()]


def _not_five(fields: list[str]) -> str:
    number = f"{len(fields)} {'field' if len(fields) == 1 else 'fields'}"
    return (
        f'"{" ".join(fields)}" has {number}; cron has five, none for seconds, for a command or '
        f"for a time zone. {_EXAMPLE}"
    )


def _why_not(fields: list[str], complaint: str) -> str:
    field = complaint.removeprefix("Bad ")
    expression = " ".join(fields)
    if field == "day-of-month" and _is_cron([*fields[:3], "*", fields[4]]):
        return f'"{expression}" never occurs. Write a day that one of its months has.'
    return (
        f'"{expression}": the {field} cannot be read. It takes numbers ({_BOUNDS[field]}), ranges '
        f"that run upwards (1-5), lists (1,15) and steps (*/15). {_EXAMPLE}"
    )


def _is_cron(fields: list[str]) -> bool:
    try:
        CronSim(" ".join(fields), ANY_TIME)
    except CronSimError:
        return False
    return True
