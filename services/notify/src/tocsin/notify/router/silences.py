"""When silences are active, and which of them holds an alert."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tocsin.notify.domain.own import KIND_CANARY, OWN_HOST
from tocsin.notify.router.matcher import matches_alert
from tocsin.notify.router.recurrence import next_time, times_after

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from uuid import UUID

    from tocsin.notify.domain.notification import AlertView
    from tocsin.notify.domain.recurrence import Recurrence
    from tocsin.notify.domain.silence import Silence

MOST_MERGED = 100
"""How many times of a window that run into each other are looked at."""


def over_time(silence: Silence) -> datetime | None:
    """Return when it is over for good, None when it is a window that nobody has ended."""
    ends = [end for end in (silence.end_time, silence.expire_time) if end is not None]
    return min(ends, default=None)


def active_until(silence: Silence, at: datetime) -> datetime | None:
    """Return until when it holds back what it matches, None when it does not at `at`.

    Times of a window that run into each other count as one, up to MOST_MERGED of them.
    """
    over = over_time(silence)
    if at < silence.start_time or (over is not None and at >= over):
        return None
    if silence.recurrence is None or silence.duration is None:
        return over
    end = _window_end(silence.recurrence, silence.duration, at)
    return end if end is None or over is None else min(end, over)


def next_start(silence: Silence, at: datetime) -> datetime | None:
    """Return when it becomes active next, None when it never does or is active at `at`."""
    over = over_time(silence)
    if active_until(silence, at) is not None:
        return None
    begin = max(silence.start_time, at)
    if silence.recurrence is not None and (begin == at or active_until(silence, begin) is None):
        coming = next_time(silence.recurrence, begin)
    else:
        coming = begin if begin > at else None
    return None if coming is None or (over is not None and coming >= over) else coming


def silencing(
    silences: Iterable[Silence], alert: AlertView, at: datetime
) -> tuple[UUID, datetime] | None:
    """Return the silence that holds an alert, and until when: the one that ends last.

    The canary is never held: its silence would look like that of a broken way.
    """
    if alert.host_id == OWN_HOST and alert.kind == KIND_CANARY:
        return None
    holding = [
        (until, silence.silence_id)
        for silence in silences
        if matches_alert(silence.matchers, alert)
        and (until := active_until(silence, at)) is not None
    ]
    if not holding:
        return None
    until, silence_id = max(holding)
    return silence_id, until


def _window_end(recurrence: Recurrence, duration: timedelta, at: datetime) -> datetime | None:
    end = None
    for begin in islice(times_after(recurrence, at - duration), MOST_MERGED):
        if begin > (at if end is None else end):
            break
        end = begin + duration
    return end


def never_pauses(recurrence: Recurrence, duration: timedelta, now: datetime) -> bool:
    """Return whether its times run into each other on and on, so that it never ends."""
    end = None
    for begin in islice(times_after(recurrence, now), MOST_MERGED):
        if end is not None and begin > end:
            return False
        end = begin + duration
    return True
