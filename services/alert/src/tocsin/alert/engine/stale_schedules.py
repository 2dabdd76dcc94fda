"""Runs that were due and did not come: until when a schedule waits, and what is said of it.

All results but CANCELLED count as a run that came: that a run failed is told by another alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Severity, Subject
from tocsin.alert.domain.job import JobKind
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure, Success
from tocsin.alert.domain.schedule import Interval
from tocsin.alert.engine.slots import slot_after, slots_between
from tocsin.alert.engine.spans import spell_span, spell_time

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.schedule import Recurrence, Runs, Schedule, ScheduleSpec

STALE_SCHEDULE = "stale_schedule"

# A run that ends so shortly before it is due was started by hand or by a clock that is ahead; it
# counts unless it is nearer to the time before.
EARLIEST = timedelta(minutes=5)

# What a person is told is not worth counting further.
COUNT_LIMIT = 1_000


class StaleReason(Enum):
    """Why a schedule is stale. The value is the alert's cause.

    MISSED: no run came by the deadline. FIRST_RUN_MISSED: the same, and none has ever come.
    NEVER_FINISHED: a run started, and took longer than it may.
    """

    MISSED = "missed"
    FIRST_RUN_MISSED = "first_run_missed"
    NEVER_FINISHED = "never_finished"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is waited for: the run that is due next, until when, and why it is stale then."""

    due_time: datetime
    deadline_time: datetime
    reason: StaleReason


def expect(spec: ScheduleSpec, runs: Runs) -> Expectation:
    """Return what a schedule waits for, by what is known of its runs.

    A run under way has `max_duration` from its start, whatever else is due meanwhile; without one,
    the run that is due has `grace`.

    Raises RecurrenceError when the times cannot be computed.
    """
    due = _due(spec.recurrence, runs)
    if runs.unfinished_start_time is not None:
        deadline = runs.unfinished_start_time + spec.max_duration
        return Expectation(due, deadline, StaleReason.NEVER_FINISHED)
    is_first = runs.last_finish_time is None
    reason = StaleReason.FIRST_RUN_MISSED if is_first else StaleReason.MISSED
    return Expectation(due, due + spec.grace, reason)


def stale_key(spec: ScheduleSpec) -> Key:
    """Return the key of a schedule's alert."""
    return Key(spec.host_id, STALE_SCHEDULE, spec.schedule_id)


def stale_failure(schedule: Schedule, expectation: Expectation) -> Failure:
    """Return what is observed when a deadline passes, at that very deadline."""
    spec = schedule.spec
    return Failure(
        key=stale_key(spec),
        observe_time=expectation.deadline_time,
        severity=Severity.WARNING,
        message=_what_is_stale(schedule, expectation),
        cause=expectation.reason.value,
        subject=Subject(spec.source_group_id, spec.repository_id, spec.schedule_id),
    )


def recovered(schedule: Schedule, before: Runs, finish_time: datetime, now: datetime) -> Success:
    """Return what is observed at `now`, on the server's clock, when a run has come after all.

    `before` is what was known of the runs before it. The message tells when it finished, how many
    runs were missed or late (their deadlines had passed by then), and for how long there was none.

    Raises RecurrenceError when the times cannot be computed.
    """
    name = _name(schedule.spec)
    last = before.last_finish_time or schedule.create_time
    parts = [f"A {name} finished at {spell_time(finish_time)}."]
    missed = _missed(schedule.spec, before, finish_time)
    if missed:
        at_least = "At least " if missed >= COUNT_LIMIT else ""
        parts.append(f"{at_least}{missed} {'run' if missed == 1 else 'runs'} missed or late.")
    parts.append(f"{_protected(schedule.spec)} went {spell_span(finish_time - last)} without.")
    return Success(stale_key(schedule.spec), now, " ".join(parts))


def _due(recurrence: Recurrence, runs: Runs) -> datetime:
    """Return the first slot that no run covers.

    What was due up to the anchor is not asked for. A run covers what was due up to its end, and a
    slot shortly after it: up to 5 minutes, but no further than half of the way to the slot before.
    """
    finish = runs.last_finish_time
    came = finish is not None and finish >= runs.anchor_time
    covered = finish if finish is not None and came else runs.anchor_time
    if isinstance(recurrence, Interval):
        return covered + recurrence.length
    slot = slot_after(recurrence, covered)
    lead = slot - covered
    is_early = came and lead <= EARLIEST and slot_after(recurrence, slot - 2 * lead) == slot
    return slot_after(recurrence, slot) if is_early else slot


def _missed(spec: ScheduleSpec, before: Runs, finish_time: datetime) -> int:
    """Return how many runs were due, and past their grace, by the end of the one that came."""
    due = _due(spec.recurrence, before)
    until = finish_time - spec.grace
    if due > until:
        return 0
    if isinstance(spec.recurrence, Interval):
        return 1 + (until - due) // spec.recurrence.length
    return 1 + slots_between(spec.recurrence, due, until, COUNT_LIMIT - 1)


def _what_is_stale(schedule: Schedule, expectation: Expectation) -> str:
    spec, runs = schedule.spec, schedule.runs
    name = _name(spec)
    due, deadline = spell_time(expectation.due_time), spell_time(expectation.deadline_time)
    if expectation.reason is StaleReason.NEVER_FINISHED and runs.unfinished_start_time is not None:
        start = spell_time(runs.unfinished_start_time)
        what = f"The {name} that started at {start} did not finish by {deadline}."
    elif expectation.reason is StaleReason.FIRST_RUN_MISSED:
        what = f"The first {name}, due at {due}, did not come by {deadline}."
    else:
        what = f"The {name} due at {due} did not come by {deadline}."
    if runs.last_finish_time is None:
        return f"{what} No run of this schedule ever finished."
    return f"{what} The last one finished at {spell_time(runs.last_finish_time)}."


def _name(spec: ScheduleSpec) -> str:
    return spec.job_kind.name.lower()


def _protected(spec: ScheduleSpec) -> str:
    return "The data" if spec.job_kind is JobKind.BACKUP else "The repository"
