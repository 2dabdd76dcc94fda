"""What puts do: hosts, source groups and schedules are watched as they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from tocsin.alert.domain.host import Host, Profile
from tocsin.alert.domain.observation import Success
from tocsin.alert.domain.schedule import Runs, Schedule
from tocsin.alert.domain.source_group import SourceGroup
from tocsin.alert.engine.heartbeats import offline_key
from tocsin.alert.engine.retirement import retire
from tocsin.alert.engine.stale_schedules import stale_key
from tocsin.alert.ledger import watches
from tocsin.alert.ledger.backup_commands import PutAnswer
from tocsin.alert.ledger.other_reporters import check_group_is_free, check_schedule_is_free
from tocsin.alert.ledger.refusals import check_schedule, check_source_group
from tocsin.alert.store.source_groups import StoredSourceGroup

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.observation import Caller
    from tocsin.alert.domain.schedule import ScheduleSpec
    from tocsin.alert.ledger.backup_commands import PutHost, PutSchedule, PutSourceGroup
    from tocsin.alert.ledger.batch import Batch

Thing = TypeVar("Thing", Host, SourceGroup, Schedule)


def put_host(batch: Batch, command: PutHost) -> PutAnswer[Host]:
    """Watch a host like this. Other rules for its silence than before begin it anew."""
    spec = command.spec
    before = _watched(batch.host(spec.host_id))
    stored = batch.signs(spec.host_id)
    if before is not None and before.spec == spec:
        return PutAnswer(replace(before, signs=stored.signs))
    host = Host(spec, _created(before, batch.now), batch.now)
    batch.book.hosts.put(spec.host_id, host)
    if before is None or _rules(before) != _rules(host):
        _end_silence(batch, spec.host_id, command.caller)
    watches.watch_host(batch, spec.host_id, stored)
    return PutAnswer(replace(host, signs=stored.signs))


def put_source_group(batch: Batch, command: PutSourceGroup) -> PutAnswer[SourceGroup]:
    """Watch a source group like this.

    Raises InvalidArgumentError when it contradicts what is known, PermissionDeniedError when it
    would take what another host reports under.
    """
    spec = command.spec
    check_source_group(batch, spec, command.caller)
    check_group_is_free(batch, command)
    stored = batch.rows.groups.get(spec.source_group_id)
    before = None if stored is None else _watched(stored.group)
    if before is not None and before.spec == spec:
        return PutAnswer(before)
    group = SourceGroup(spec, _created(before, batch.now), batch.now)
    batch.rows.groups.put(spec.source_group_id, StoredSourceGroup(group))
    watches.watch_danger(batch, spec.source_group_id, batch.now)
    host = batch.host(spec.host_id)
    if host is not None and host.spec.profile is Profile.LAPTOP:
        watches.watch_host(batch, spec.host_id, batch.signs(spec.host_id))
    return PutAnswer(group)


def put_schedule(batch: Batch, command: PutSchedule) -> PutAnswer[Schedule]:
    """Expect runs like this. Other times, or other patience, than before begin it anew.

    Raises InvalidArgumentError when it contradicts what is known, PermissionDeniedError when it
    would take what another host reports under.
    """
    spec = command.spec
    check_schedule(batch, spec, command.caller)
    check_schedule_is_free(batch, command)
    stored = batch.rows.schedules.get(spec.schedule_id)
    before = None if stored is None else _watched(stored.schedule)
    if before is not None and before.spec == spec:
        return PutAnswer(before)
    last = batch.rows.last_finishes.get(watches.line_of_schedule(spec))
    if stored is not None and stored.schedule.spec.job_kind is spec.job_kind:
        last = stored.schedule.runs.last_finish_time or last
    begins_anew = before is None or _expected(before.spec) != _expected(spec)
    anchor = batch.now if before is None or begins_anew else before.runs.anchor_time
    schedule = Schedule(spec, _created(before, batch.now), batch.now, Runs(anchor, last))
    start = watches.unfinished_start(batch, schedule)
    schedule = replace(schedule, runs=Runs(anchor, last, start))
    if begins_anew:
        _end_staleness(batch, schedule, command.caller)
    watches.watch_schedule(batch, schedule)
    return PutAnswer(watches.awaited(schedule)[0])


def _watched(thing: Thing | None) -> Thing | None:
    """Return what was put before, unless it was retired since."""
    return None if thing is None or thing.retire_time is not None else thing


def _created(before: Host | SourceGroup | Schedule | None, now: datetime) -> datetime:
    return now if before is None else before.create_time


def _rules(host: Host) -> tuple[object, ...]:
    return (host.spec.profile, host.spec.offline_after)


def _end_silence(batch: Batch, host_id: str, caller: Caller) -> None:
    """Resolve the silence of a host that is judged in another way from now on."""
    note = "How the silence of the host is judged was changed: it is waited for anew."
    batch.book.clear_now(Success(offline_key(host_id), batch.now, note), caller)


def _expected(spec: ScheduleSpec) -> tuple[object, ...]:
    return (spec.job_kind, spec.recurrence, spec.grace, spec.max_duration, spec.enabled)


def _end_staleness(batch: Batch, schedule: Schedule, caller: Caller) -> None:
    """Resolve the alert of a schedule that is begun anew or switched off."""
    key = stale_key(schedule.spec)
    if schedule.spec.enabled:
        note = "The schedule was changed: runs that were due before are not asked for."
        batch.book.clear_now(Success(key, batch.now, note), caller)
        return
    state, name = batch.book.state(key), batch.book.host_name(key.host_id)
    note = "The schedule was switched off."
    batch.book.keep(key, retire(state, batch.now, caller, name, note))
