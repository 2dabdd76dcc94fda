"""What of reports and puts is refused because it contradicts what is known.

Whoever is bound to hosts is not told on which other host an id lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.errors import FieldViolation, InvalidArgumentError

if TYPE_CHECKING:
    from tocsin.alert.domain.job import Job
    from tocsin.alert.domain.observation import Caller
    from tocsin.alert.domain.schedule import ScheduleSpec
    from tocsin.alert.domain.source_group import SourceGroupSpec
    from tocsin.alert.ledger.batch import Batch


def job_id_reused(job_id: str) -> InvalidArgumentError:
    """Return the refusal of a job_id that was reported with other content."""
    violation = FieldViolation(
        "job_id",
        f"{job_id!r} was reported before with other content; give every job an id of its own",
    )
    return InvalidArgumentError(
        f"job_id: {violation.description}", reason="JOB_ID_REUSED", violations=(violation,)
    )


def check_places(batch: Batch, job: Job, caller: Caller) -> None:
    """Refuse a job whose source group or schedule, if it was put, belongs to another host."""
    found = _misplaced_group(batch, job.source_group_id, job.host_id, caller)
    stored = batch.rows.schedules.get(job.schedule_id)
    if stored is not None and stored.schedule.spec.host_id != job.host_id:
        place = _place(stored.schedule.spec.host_id, caller)
        found.append(_misplaced("schedule_id", job.schedule_id, place))
    _refuse(found)


def check_source_group(batch: Batch, spec: SourceGroupSpec, caller: Caller) -> None:
    """Refuse a source group that lies on another host already, or on one that is retired."""
    stored = batch.rows.groups.get(spec.source_group_id)
    found = _retired_host(batch, spec.host_id)
    if stored is not None and stored.group.spec.host_id != spec.host_id:
        place = _place(stored.group.spec.host_id, caller)
        found.append(_moved("source group", spec.source_group_id, place))
    _refuse(found)


def check_schedule(batch: Batch, spec: ScheduleSpec, caller: Caller) -> None:
    """Refuse a schedule of another host, of one that is retired, or of such a source group."""
    stored = batch.rows.schedules.get(spec.schedule_id)
    found = _retired_host(batch, spec.host_id)
    if stored is not None and stored.schedule.spec.host_id != spec.host_id:
        place = _place(stored.schedule.spec.host_id, caller)
        found.append(_moved("schedule", spec.schedule_id, place))
    found += _misplaced_group(batch, spec.source_group_id, spec.host_id, caller)
    group = batch.rows.groups.get(spec.source_group_id)
    if group is not None and group.group.retire_time is not None:
        text = f"{spec.source_group_id!r} is retired; put the source group again first"
        found.append(FieldViolation("source_group_id", text))
    _refuse(found)


def _misplaced_group(
    batch: Batch, source_group_id: str, host_id: str, caller: Caller
) -> list[FieldViolation]:
    stored = batch.rows.groups.get(source_group_id)
    if stored is None or stored.group.spec.host_id == host_id:
        return []
    place = _place(stored.group.spec.host_id, caller)
    return [_misplaced("source_group_id", source_group_id, place)]


def _place(host_id: str, caller: Caller) -> str:
    return "another host" if caller.is_bound else f"host {host_id!r}"


def _misplaced(field: str, thing_id: str, place: str) -> FieldViolation:
    return FieldViolation(
        field, f"{thing_id!r} lies on {place}; name that host, or one of this host's own"
    )


def _moved(thing: str, thing_id: str, place: str) -> FieldViolation:
    return FieldViolation(
        "host_id",
        f"cannot be changed: {thing} {thing_id!r} lies on {place}; put one with another id",
    )


def _retired_host(batch: Batch, host_id: str) -> list[FieldViolation]:
    if not batch.is_retired_host(host_id):
        return []
    return [FieldViolation("host_id", f"{host_id!r} is retired; put the host again first")]


def _refuse(found: list[FieldViolation]) -> None:
    if found:
        raise InvalidArgumentError.of(found)
