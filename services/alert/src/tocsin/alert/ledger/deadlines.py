"""What deadlines that pass do. The sweeps find them; here it is decided again, under the locks.

Each ends with the true time of the next look.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.engine import danger, dependencies
from tocsin.alert.engine.heartbeats import offline_failure, offline_key
from tocsin.alert.engine.people import SERVICE
from tocsin.alert.engine.stale_schedules import stale_failure, stale_key
from tocsin.alert.ledger import watches
from tocsin.alert.ledger.backup_commands import DeadlineAnswer
from tocsin.alert.ledger.explanations import raise_explained
from tocsin.alert.ledger.group_keys import keys_of_group

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.observation import Failure
    from tocsin.alert.domain.source_group import SourceGroup
    from tocsin.alert.ledger.backup_commands import CallOffline, MissRun, Rise, Unsuppress
    from tocsin.alert.ledger.batch import Batch

# A sweep holds what it has claimed for seconds; a look that is further off was put off by a report.
_PUT_OFF = timedelta(seconds=30)

_UNCHANGED = DeadlineAnswer(changed=False)


def miss_run(batch: Batch, command: MissRun) -> DeadlineAnswer:
    """Raise stale_schedule when the deadline of a schedule has passed."""
    stored = batch.rows.schedules.get(command.schedule_id)
    if stored is None:
        return _UNCHANGED
    schedule, expectation = watches.awaited(stored.schedule)
    stands = batch.book.standing(stale_key(schedule.spec)) is not None
    is_missing = expectation is not None and expectation.deadline_time <= batch.now
    if expectation is not None and is_missing and not stands:
        raise_explained(batch, _after_clear(batch, stale_failure(schedule, expectation)), SERVICE)
        watches.watch_danger(batch, watches.group_of_backups(batch, schedule), batch.now)
    watches.watch_schedule(batch, schedule)
    if is_missing and batch.book.standing(stale_key(schedule.spec)) is None:
        watches.put_off(batch, command.schedule_id)
    return DeadlineAnswer(
        changed=is_missing and not stands,
        is_blocked=expectation is None and watches.is_watched(schedule),
    )


def call_offline(batch: Batch, command: CallOffline) -> DeadlineAnswer:
    """Raise agent_offline when a host has been silent for too long."""
    host, stored = batch.host(command.host_id), batch.signs(command.host_id)
    stands = batch.book.standing(offline_key(command.host_id)) is not None
    deadline = watches.offline_time(batch, command.host_id, stored)
    is_silent = deadline is not None and deadline <= batch.now and not stands
    if host is not None and deadline is not None and is_silent:
        failure = offline_failure(replace(host, signs=stored.signs), deadline)
        batch.book.raise_or_touch(_after_clear(batch, failure), SERVICE)
    watches.watch_host(batch, command.host_id, stored)
    return DeadlineAnswer(changed=is_silent)


def rise(batch: Batch, command: Rise) -> DeadlineAnswer:
    """Let the alerts of a source group rise as far as its last good backup is old."""
    stored = batch.rows.groups.get(command.source_group_id)
    if stored is None or _is_put_off(stored.rise_look_time, batch.now):
        return _UNCHANGED
    group = stored.group
    keys = keys_of_group(batch, group)
    good = danger.last_good(batch.backups_of(group), group)
    is_watched = group.retire_time is None
    changed = is_watched and _rise_to(batch, group, good)
    look_time = None
    if is_watched and any(map(batch.book.standing, keys)):
        look_time = danger.next_look(good, group.spec.objective, batch.now, reported=False)
    batch.rows.groups.put(command.source_group_id, stored._replace(rise_look_time=look_time))
    return DeadlineAnswer(changed)


def unsuppress(batch: Batch, command: Unsuppress) -> DeadlineAnswer:
    """Let an alert stand for itself when what explained it does so no longer."""
    alert = batch.book.find(command.alert_id)
    if alert is None or alert.suppressed_by is None:
        return _UNCHANGED
    root = batch.book.find(alert.suppressed_by)
    end = batch.now if root is None else dependencies.explained_until(root, command.grace)
    if end is None or end > batch.now:
        return _UNCHANGED
    state, name = batch.book.state(alert.key), batch.book.host_name(alert.key.host_id)
    decision = dependencies.unsuppress(state, alert, end, name)
    batch.book.keep(alert.key, decision)
    return DeadlineAnswer(decision.outcome)


def _after_clear(batch: Batch, failure: Failure) -> Failure:
    """Return a failure that is not older than the last clear of its key.

    What is missing is missing now, whatever was cleared since it was due: a start that is learned
    of late may lie before.
    """
    cleared_time = batch.book.state(failure.key).cleared_time
    if cleared_time is None or failure.observe_time >= cleared_time:
        return failure
    return failure._replace(observe_time=cleared_time)


def _rise_to(batch: Batch, group: SourceGroup, good: datetime) -> bool:
    objective = group.spec.objective
    multiple = danger.multiple_of(batch.now - good, objective)
    if objective is None or multiple == 0:
        return False
    changed = False
    for key in keys_of_group(batch, group):
        name = batch.book.host_name(key.host_id)
        passed = good + multiple * objective
        decision = danger.rise(batch.book.state(key), multiple, passed, name)
        batch.book.keep(key, decision)
        changed = changed or decision.outcome
    return changed


def _is_put_off(look_time: datetime | None, now: datetime) -> bool:
    return look_time is not None and look_time - now > _PUT_OFF
