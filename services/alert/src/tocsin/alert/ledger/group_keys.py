"""The keys under which a source group can be in danger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.job import Job, JobKind
from tocsin.alert.engine.job_results import keys_of
from tocsin.alert.engine.stale_schedules import stale_key

if TYPE_CHECKING:
    from tocsin.alert.domain.key import Key
    from tocsin.alert.domain.schedule import Schedule
    from tocsin.alert.domain.source_group import SourceGroup
    from tocsin.alert.ledger.batch import Batch


def own_keys(host_id: str, source_group_id: str) -> tuple[Key, ...]:
    """Return the keys that the backups of a source group raise and clear."""
    return keys_of(Job("", host_id, JobKind.BACKUP, source_group_id))


def keys_of_group(batch: Batch, group: SourceGroup) -> list[Key]:
    """Return the keys of a source group and of its schedules, in their order."""
    spec = group.spec
    of_schedules = (stale_key(schedule.spec) for schedule in schedules_of_group(batch, group))
    return sorted({*own_keys(spec.host_id, spec.source_group_id), *of_schedules})


def schedules_of_group(batch: Batch, group: SourceGroup) -> list[Schedule]:
    """Return the schedules of the backups of a source group."""
    spec = group.spec
    return [
        stored.schedule
        for stored in batch.rows.schedules.rows()
        if stored.schedule.spec.source_group_id == spec.source_group_id
        and stored.schedule.spec.host_id == spec.host_id
        and stored.schedule.spec.job_kind is JobKind.BACKUP
    ]
