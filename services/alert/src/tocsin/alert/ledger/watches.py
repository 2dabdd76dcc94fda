"""When sweeps look next: what is waited for of schedules, hosts and source groups.

A time to look is never later than the deadline that it stands for. Reports leave it where it is
as long as that holds, so that they rewrite no indexed column; a sweep that finds nothing due yet
moves it on. Nothing is looked for while the alert stands.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.host import Profile
from tocsin.alert.domain.job import JobKind
from tocsin.alert.engine.danger import last_good, next_look
from tocsin.alert.engine.heartbeats import offline_at, offline_key
from tocsin.alert.engine.slots import RecurrenceError
from tocsin.alert.engine.stale_schedules import expect, stale_key
from tocsin.alert.store.jobs import RunLine
from tocsin.alert.store.schedules import StoredSchedule

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.key import Key
    from tocsin.alert.domain.schedule import Schedule, ScheduleSpec
    from tocsin.alert.engine.stale_schedules import Expectation
    from tocsin.alert.ledger.batch import Batch
    from tocsin.alert.store.signs import StoredSigns

# What cannot be computed is tried again so much later.
BLOCKED_FOR = timedelta(hours=1)
# What a flood of alerts stands for is observed again so much later.
_FLOODED_FOR = timedelta(minutes=1)
# A report of something older comes from an agent that catches up: more may be on their way.
_FRESH = timedelta(seconds=60)


def is_watched(schedule: Schedule) -> bool:
    """Whether runs are expected at all."""
    return schedule.retire_time is None and schedule.spec.enabled


def awaited(schedule: Schedule) -> tuple[Schedule, Expectation | None]:
    """Return a schedule with what it waits for, and that: None for nothing, or not computable."""
    expectation = None
    if is_watched(schedule):
        try:
            expectation = expect(schedule.spec, schedule.runs)
        except RecurrenceError:
            expectation = None
    if expectation is None:
        return replace(schedule, due_time=None, deadline_time=None), None
    due, deadline = expectation.due_time, expectation.deadline_time
    return replace(schedule, due_time=due, deadline_time=deadline), expectation


def watch_schedule(batch: Batch, schedule: Schedule, before: datetime | None = None) -> None:
    """Keep a schedule, with the time to look at it.

    `before` is the time that is already set: it stays, unless what is waited for came closer.
    """
    schedule, expectation = awaited(schedule)
    look_time = None
    if is_watched(schedule) and batch.book.standing(stale_key(schedule.spec)) is None:
        blocked = batch.now + BLOCKED_FOR
        true_time = blocked if expectation is None else expectation.deadline_time
        look_time = true_time if before is None else min(before, true_time)
    batch.rows.schedules.put(schedule.spec.schedule_id, StoredSchedule(schedule, look_time))


def put_off(batch: Batch, schedule_id: str) -> None:
    """Look later at a schedule that is late, and whose host may raise no more alerts."""
    stored = batch.rows.schedules.get(schedule_id)
    if stored is not None:
        late = stored._replace(look_time=batch.now + _FLOODED_FOR)
        batch.rows.schedules.put(schedule_id, late)


def line_of_schedule(spec: ScheduleSpec) -> RunLine:
    """Return the runs that a schedule waits for."""
    return RunLine(spec.host_id, spec.schedule_id, spec.job_kind)


def unfinished_start(batch: Batch, schedule: Schedule) -> datetime | None:
    """Return the earliest start, after the last end, of a run that has not ended.

    One that was overdue when the schedule was begun anew is not asked for any more.
    """
    spec, runs = schedule.spec, schedule.runs
    starts = batch.rows.unfinished.get(line_of_schedule(spec), {}).values()
    last = runs.last_finish_time
    return min(
        (
            start
            for start in starts
            if (last is None or start > last) and start + spec.max_duration > runs.anchor_time
        ),
        default=None,
    )


def begin_anew(batch: Batch, key: Key) -> None:
    """Ask for no run of a schedule that was due up to now, and wait for the next one.

    `key` is that of its alert, which a person has resolved, say.
    """
    stored = batch.rows.schedules.get(key.dedup_key)
    if stored is None or stored.schedule.spec.host_id != key.host_id:
        return
    schedule = stored.schedule
    schedule = replace(schedule, runs=replace(schedule.runs, anchor_time=batch.now))
    start = unfinished_start(batch, schedule)
    runs = replace(schedule.runs, unfinished_start_time=start)
    watch_schedule(batch, replace(schedule, runs=runs))


def offline_time(batch: Batch, host_id: str, stored: StoredSigns) -> datetime | None:
    """Return when a host counts as offline, with these signs of life; None when never."""
    host = batch.host(host_id)
    if host is None:
        return None
    shortest = None
    if host.spec.profile is Profile.LAPTOP:
        shortest = min(
            (
                each.group.spec.objective
                for each in batch.rows.groups.rows()
                if each.group.spec.host_id == host_id
                and each.group.retire_time is None
                and each.group.spec.objective is not None
            ),
            default=None,
        )
    return offline_at(replace(host, signs=stored.signs), shortest)


def watch_host(batch: Batch, host_id: str, stored: StoredSigns) -> None:
    """Keep the signs of life of a host, with the true time to look at it."""
    look_time = None
    if batch.book.standing(offline_key(host_id)) is None:
        look_time = offline_time(batch, host_id, stored)
    batch.rows.signs.put(host_id, stored._replace(look_time=look_time))


def watch_danger(batch: Batch, source_group_id: str, observe_time: datetime) -> None:
    """Look later whether the alerts of a source group rise: one of them stands, or may stand.

    A fresh report does not put the look off, so that a job which fails all the time rises too;
    one of an agent that catches up does.
    """
    stored = batch.rows.groups.get(source_group_id)
    if stored is None or stored.group.retire_time is not None:
        return
    group = stored.group
    good = last_good(batch.backups_of(group), group)
    look_time = next_look(good, group.spec.objective, batch.now, reported=True)
    before = stored.rise_look_time
    is_fresh = batch.now - observe_time <= _FRESH
    if look_time is not None and before is not None and is_fresh:
        look_time = min(look_time, before)
    batch.rows.groups.put(source_group_id, stored._replace(rise_look_time=look_time))


def group_of_backups(batch: Batch, schedule: Schedule) -> str:
    """Return the source group whose danger the silence of a schedule tells of; '' for none."""
    spec = schedule.spec
    stored = batch.rows.groups.get(spec.source_group_id)
    is_its_own = stored is not None and stored.group.spec.host_id == spec.host_id
    return spec.source_group_id if spec.job_kind is JobKind.BACKUP and is_its_own else ""
