"""The runs that a host reports under a schedule, and what they tell of it.

They are kept whether the schedule was put or not: one that is put later knows of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.alert.domain.job import JobResult
from tocsin.alert.domain.observation import Success
from tocsin.alert.engine.slots import RecurrenceError
from tocsin.alert.engine.stale_schedules import StaleReason, expect, recovered, stale_key
from tocsin.alert.ledger import watches
from tocsin.alert.store.jobs import RunLine

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.job import Job, JobFinished
    from tocsin.alert.domain.observation import Caller
    from tocsin.alert.domain.schedule import Runs, Schedule
    from tocsin.alert.ledger.batch import Batch
    from tocsin.alert.store.schedules import StoredSchedule


def begin(batch: Batch, job: Job, start_time: datetime) -> None:
    """Take note of a run under way. It does not end a silence: only an end does."""
    if not job.schedule_id:
        return
    batch.rows.unfinished.setdefault(line_of(job), {})[job.job_id] = start_time
    stored = _schedule_of(batch, job)
    if stored is not None:
        schedule = _with_runs(batch, stored.schedule, stored.schedule.runs.last_finish_time)
        watches.watch_schedule(batch, schedule, stored.look_time)


def end(batch: Batch, finished: JobFinished, caller: Caller) -> Alert | None:
    """Take note of a run that has ended, and return the stale_schedule that it resolved, if any."""
    job = finished.job
    if not job.schedule_id:
        return None
    counts = finished.result is not JobResult.CANCELLED
    batch.rows.unfinished.setdefault(line_of(job), {}).pop(job.job_id, None)
    if counts:
        lasts, line = batch.rows.last_finishes, line_of(job)
        lasts[line] = max(lasts.get(line, finished.finish_time), finished.finish_time)
    stored = _schedule_of(batch, job)
    if stored is None:
        return None
    before = stored.schedule.runs
    last = _later(before.last_finish_time, finished.finish_time if counts else None)
    schedule = _with_runs(batch, stored.schedule, last)
    resolved = _recover(batch, schedule, before, caller)
    watches.watch_schedule(batch, schedule, stored.look_time)
    return resolved


def line_of(job: Job) -> RunLine:
    """Return the line that a job belongs to."""
    return RunLine(job.host_id, job.schedule_id, job.kind)


def _schedule_of(batch: Batch, job: Job) -> StoredSchedule | None:
    """Return the schedule that a job is a run of: another kind of job is none."""
    stored = batch.rows.schedules.get(job.schedule_id)
    return stored if stored is not None and stored.schedule.spec.job_kind is job.kind else None


def _with_runs(batch: Batch, schedule: Schedule, last: datetime | None) -> Schedule:
    schedule = replace(schedule, runs=replace(schedule.runs, last_finish_time=last))
    start = watches.unfinished_start(batch, schedule)
    return replace(schedule, runs=replace(schedule.runs, unfinished_start_time=start))


def _recover(batch: Batch, schedule: Schedule, before: Runs, caller: Caller) -> Alert | None:
    """Resolve the alert of a schedule when nothing that it is about is missing any more.

    This looks only at what is known by now, never at the order in which it came to be known.
    """
    standing = batch.book.standing(stale_key(schedule.spec))
    if standing is None or not watches.is_watched(schedule):
        return None
    try:
        if _is_missing(schedule, standing, batch.now):
            return None
        success = _success(schedule, before, batch.now)
    except RecurrenceError:
        return None
    return batch.book.clear_now(success, caller)


def _is_missing(schedule: Schedule, standing: Alert, now: datetime) -> bool:
    """Whether a run is overdue: the one that is due, or the one under way that the alert names.

    Another one under way does not count: that it began tells nothing of the run that is due, and
    its own deadline is watched for itself.
    """
    ended = replace(schedule.runs, unfinished_start_time=None)
    if expect(schedule.spec, ended).deadline_time <= now:
        return True
    expected = expect(schedule.spec, schedule.runs)
    is_named = expected.deadline_time == standing.last_seen_time
    return expected.reason is StaleReason.NEVER_FINISHED and is_named


def _success(schedule: Schedule, before: Runs, now: datetime) -> Success:
    last = schedule.runs.last_finish_time
    if last is not None and last != before.last_finish_time:
        return recovered(schedule, before, last, now)
    note = "The run that had not finished has ended, and no other is overdue."
    return Success(stale_key(schedule.spec), now, note)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)
