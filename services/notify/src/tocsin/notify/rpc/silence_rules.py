"""From what a caller gives to a silence as it is kept. Everything that is wrong is noted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import ID_CHARACTERS, NOTE_CHARACTERS, check_text
from tocsin.notify.domain.silence import Silence
from tocsin.notify.router.silences import never_pauses
from tocsin.notify.rpc.lengths import read_length
from tocsin.notify.rpc.matcher_rules import read_matchers
from tocsin.notify.rpc.recurrence_rules import read_recurrence

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.api.notify.v1 import silence_pb2
    from tocsin.common.errors import Violations
    from tocsin.notify.domain.recurrence import Recurrence

LONGEST: Final = timedelta(days=366)
SHORTEST_WINDOW: Final = timedelta(minutes=1)
LONGEST_WINDOW: Final = timedelta(days=7)


def read_silence(
    found: Violations,
    path: str,
    given: silence_pb2.Silence,
    *,
    silence_id: UUID,
    actor: str,
    now: datetime,
) -> Silence:
    """Return the silence that a caller wants, of no use once anything is noted."""
    check_text(found, f"{path}.author", given.author, most=ID_CHARACTERS)
    check_text(found, f"{path}.reason", given.reason, least=1, most=NOTE_CHARACTERS)
    start_time = now
    if given.HasField("start_time"):
        start_time = read_timestamp(found, f"{path}.start_time", given.start_time) or now
    recurrence = None
    if given.HasField("recurrence"):
        recurrence = read_recurrence(found, f"{path}.recurrence", given.recurrence, now)
    return Silence(
        silence_id=silence_id,
        matchers=read_matchers(found, f"{path}.matchers", given.matchers, least=1, on_events=False),
        start_time=start_time,
        end_time=_end_time(found, path, given, start_time, now),
        recurrence=recurrence,
        duration=_duration(found, path, given, recurrence, now),
        author=given.author or actor,
        reason=given.reason,
        create_time=now,
        created_by=actor,
    )


def _end_time(
    found: Violations,
    path: str,
    given: silence_pb2.Silence,
    start_time: datetime,
    now: datetime,
) -> datetime | None:
    place = f"{path}.end_time"
    if not given.HasField("end_time"):
        if not given.HasField("recurrence"):
            found.add(
                place,
                "must be set: a silence has an end; only a window that comes again"
                " (recurrence) may have none",
            )
        return None
    end_time = read_timestamp(found, place, given.end_time)
    if end_time is None:
        return None
    if end_time <= now:
        found.add(place, f"is past; write a time after {now.isoformat(timespec='seconds')}")
    elif end_time <= start_time:
        found.add(place, "is not after start_time; write a later time")
    elif end_time - start_time > LONGEST:
        found.add(
            place,
            f"is more than {LONGEST.days} days after start_time; write an earlier time, or make"
            " another silence then",
        )
    return end_time


def _duration(
    found: Violations,
    path: str,
    given: silence_pb2.Silence,
    recurrence: Recurrence | None,
    now: datetime,
) -> timedelta | None:
    place = f"{path}.duration"
    if not given.HasField("recurrence"):
        if given.HasField("duration"):
            found.add(place, "is only for a window that comes again (recurrence); set end_time")
        return None
    before = len(found.found)
    duration = read_length(found, place, given.duration, SHORTEST_WINDOW, LONGEST_WINDOW)
    is_right = len(found.found) == before and recurrence is not None
    if is_right and recurrence is not None and never_pauses(recurrence, duration, now):
        found.add(
            place,
            "is longer than the time from one window to the next, so that it would"
            " never end; make it shorter, or set end_time in place of recurrence",
        )
    return duration
