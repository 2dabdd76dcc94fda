"""Columns of many rows as arguments of a function of the database, each as it costs least.

asyncpg looks at each value of an array whether it is an array itself, and takes 0.2 µs for a
text and 0.6 for a time. One long text takes as long as one short one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    T = TypeVar("T")
    R = TypeVar("R")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# What separates texts: U+001F once or more, then U+001E, which PostgreSQL finds the first of.
_MANY, _END = "\x1f", "\x1e"
_USUAL = _MANY + _END
_RUNS = re.compile(f"{_MANY}+")


def packed(texts: Sequence[str]) -> str:
    """Return texts as one, each behind a separator that is in none of them. '' of no texts.

    The function unpack_texts_1 makes an array of it.
    """
    if not texts:
        return ""
    joined = _USUAL + _USUAL.join(texts)
    if joined.count(_END) == len(texts):
        return joined
    longest = max((len(run) for text in texts for run in _RUNS.findall(text)), default=0)
    separator = _MANY * (longest + 1) + _END
    return separator + separator.join(texts)


def microsecond(time: datetime) -> int:
    """Return an aware time as the function time_at_1 takes it: from 1970 on, exact in any year."""
    return (time - _EPOCH) // _MICROSECOND


def map_runs(function: Callable[[T], R], values: Iterable[T]) -> list[R]:
    """Return what a pure function makes of each value. Of what follows itself it is asked once.

    Reports of one call share their time, and most of them their labels.
    """
    column: list[R] = []
    last: object = column  # which none of the values is
    for value in values:
        if value is not last:
            last, made = value, function(value)
        column.append(made)
    return column


def unless_all_null(values: Sequence[T | None]) -> Sequence[T | None]:
    """Return a column, without any value if it has none: unnest fills up what is too short."""
    return () if values.count(None) == len(values) else values


def once_if_alike(values: Sequence[T]) -> Sequence[T]:
    """Return a column; if all its values are the same, that one alone."""
    return values[:1] if values and values.count(values[0]) == len(values) else values
