"""What retiring does: a thing is watched no more, and what only it could clear is resolved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.alert.engine.retirement import retire
from tocsin.alert.engine.stale_schedules import stale_key
from tocsin.alert.ledger.backup_commands import RetireAnswer
from tocsin.alert.ledger.group_keys import keys_of_group, schedules_of_group
from tocsin.alert.store.schedules import StoredSchedule
from tocsin.alert.store.source_groups import StoredSourceGroup
from tocsin.common.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.key import Key
    from tocsin.alert.domain.observation import Caller
    from tocsin.alert.domain.schedule import Schedule
    from tocsin.alert.domain.source_group import SourceGroup
    from tocsin.alert.ledger.backup_commands import RetireHost, RetireSchedule, RetireSourceGroup
    from tocsin.alert.ledger.batch import Batch


def retire_host(batch: Batch, command: RetireHost) -> RetireAnswer[Host]:
    """Retire a host with all that lies on it. Raises NotFoundError (HOST_NOT_FOUND)."""
    host_id = command.host_id
    host = batch.host(host_id)
    if host is None:
        raise NotFoundError(f"There is no host {host_id!r}.", reason="HOST_NOT_FOUND")
    host = replace(host, retire_time=host.retire_time or batch.now)
    batch.book.hosts.put(host_id, host)
    stored = batch.signs(host_id)
    batch.rows.signs.put(host_id, stored._replace(look_time=None))
    for group in list(batch.rows.groups.rows()):
        if group.group.spec.host_id == host_id:
            _retire_group(batch, group.group)
    for schedule in list(batch.rows.schedules.rows()):
        if schedule.schedule.spec.host_id == host_id:
            _retire_schedule(batch, schedule.schedule)
    keys = [key for key in batch.book.states if key.host_id == host_id]
    count = _resolve(batch, keys, command.caller, "The host was retired.")
    return RetireAnswer(replace(host, signs=stored.signs), count)


def retire_source_group(batch: Batch, command: RetireSourceGroup) -> RetireAnswer[SourceGroup]:
    """Retire a source group with its schedules. Raises NotFoundError (SOURCE_GROUP_NOT_FOUND)."""
    stored = batch.rows.groups.get(command.source_group_id)
    if stored is None:
        raise NotFoundError(
            f"There is no source group {command.source_group_id!r}.",
            reason="SOURCE_GROUP_NOT_FOUND",
        )
    group = _retire_group(batch, stored.group)
    for schedule in schedules_of_group(batch, group):
        _retire_schedule(batch, schedule)
    keys = keys_of_group(batch, group)
    count = _resolve(batch, keys, command.caller, "The source group was retired.")
    return RetireAnswer(group, count)


def retire_schedule(batch: Batch, command: RetireSchedule) -> RetireAnswer[Schedule]:
    """Retire a schedule. Raises NotFoundError (SCHEDULE_NOT_FOUND)."""
    stored = batch.rows.schedules.get(command.schedule_id)
    if stored is None:
        raise NotFoundError(
            f"There is no schedule {command.schedule_id!r}.", reason="SCHEDULE_NOT_FOUND"
        )
    schedule = _retire_schedule(batch, stored.schedule)
    keys = [stale_key(schedule.spec)]
    count = _resolve(batch, keys, command.caller, "The schedule was retired.")
    return RetireAnswer(schedule, count)


def _retire_group(batch: Batch, group: SourceGroup) -> SourceGroup:
    group = replace(group, retire_time=group.retire_time or batch.now)
    batch.rows.groups.put(group.spec.source_group_id, StoredSourceGroup(group))
    return group


def _retire_schedule(batch: Batch, schedule: Schedule) -> Schedule:
    schedule = replace(
        schedule,
        retire_time=schedule.retire_time or batch.now,
        due_time=None,
        deadline_time=None,
    )
    batch.rows.schedules.put(schedule.spec.schedule_id, StoredSchedule(schedule))
    return schedule


def _resolve(batch: Batch, keys: Iterable[Key], caller: Caller, note: str) -> int:
    """Resolve what stands of some keys, and return how many alerts that were."""
    count = 0
    for key in sorted(keys):
        name = batch.book.host_name(key.host_id)
        decision = retire(batch.book.state(key), batch.now, caller, name, note)
        batch.book.keep(key, decision)
        count += decision.outcome
    return count
