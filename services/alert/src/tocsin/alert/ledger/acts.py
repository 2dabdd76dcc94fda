"""What of a batch belongs into the audit trail: what people did, and only if it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.ledger.backup_commands import (
    FinishJob,
    PutHost,
    PutSchedule,
    PutSourceGroup,
    RetireHost,
    RetireSchedule,
    RetireSourceGroup,
    StartJob,
)
from tocsin.alert.ledger.commands import (
    Acknowledge,
    AutoResolve,
    ChangeAnswer,
    RaiseOrTouch,
    Resolve,
)
from tocsin.common.errors import TocsinError
from tocsin.common.identity.audit import Act

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tocsin.alert.ledger.commands import Command, Result

    Told = tuple[str, Mapping[str, str]]


def acts_of(commands: Iterable[Command], results: Iterable[Result]) -> list[Act]:
    """Return what to write down of commands that met these results."""
    acts = list[Act]()
    for command, result in zip(commands, results, strict=True):
        known = _ACTS.get(type(command))
        if known is not None and (act := _act(*known, command, result)) is not None:
            acts.append(act)
    return acts


def _act(method: str, tell: Callable[[Any], Told], command: Any, result: Result) -> Act | None:
    caller = command.caller
    if not caller.is_person or isinstance(result, TocsinError) or _changes_nothing(result):
        return None
    subject, details = tell(command)
    if isinstance(result, ChangeAnswer):
        key = result.alert.key
        details = {**details, "host_id": key.host_id, "kind": key.kind, "dedup_key": key.dedup_key}
    return Act(
        actor=caller.actor,
        method=method,
        subject=subject,
        details={name: value for name, value in details.items() if value},
        on_behalf_of=caller.on_behalf_of,
    )


def _changes_nothing(result: Any) -> bool:
    """Whether an answer is that of a repetition, or of what came too late to count."""
    is_late = getattr(result, "outcome", None) in {RaiseOutcome.STALE, ClearOutcome.STALE}
    is_again = getattr(result, "replayed", False) or not getattr(result, "changed", True)
    return is_late or is_again


def _raise(command: RaiseOrTouch) -> Told:
    key = command.failure.key
    return key.host_id, {"kind": key.kind, "dedup_key": key.dedup_key}


def _clear(command: AutoResolve) -> Told:
    key = command.success.key
    return key.host_id, {"kind": key.kind, "dedup_key": key.dedup_key}


def _start(command: StartJob) -> Told:
    job = command.started.job
    return job.job_id, {"host_id": job.host_id}


def _finish(command: FinishJob) -> Told:
    job = command.finished.job
    return job.job_id, {"host_id": job.host_id, "result": command.finished.result.name.lower()}


def _acknowledge(command: Acknowledge) -> Told:
    until = command.expire_time.isoformat(timespec="seconds")
    return str(command.alert_id), {"note": command.note, "until": until}


def _resolve(command: Resolve) -> Told:
    return str(command.alert_id), {"note": command.note}


def _put_host(command: PutHost) -> Told:
    return command.spec.host_id, {"name": command.spec.name}


def _put_source_group(command: PutSourceGroup) -> Told:
    spec = command.spec
    return spec.source_group_id, {"host_id": spec.host_id, "name": spec.name}


def _put_schedule(command: PutSchedule) -> Told:
    spec = command.spec
    return spec.schedule_id, {"host_id": spec.host_id, "enabled": str(spec.enabled).lower()}


_ACTS: dict[type[Command], tuple[str, Callable[[Any], Told]]] = {
    RaiseOrTouch: ("AlertService/RaiseOrTouch", _raise),
    AutoResolve: ("AlertService/AutoResolve", _clear),
    StartJob: ("BackupService/ReportJobStarted", _start),
    FinishJob: ("BackupService/ReportJobFinished", _finish),
    Acknowledge: ("AlertService/Acknowledge", _acknowledge),
    Resolve: ("AlertService/Resolve", _resolve),
    PutHost: ("BackupService/PutHost", _put_host),
    PutSourceGroup: ("BackupService/PutSourceGroup", _put_source_group),
    PutSchedule: ("BackupService/PutSchedule", _put_schedule),
    RetireHost: ("BackupService/RetireHost", lambda command: (command.host_id, {})),
    RetireSourceGroup: (
        "BackupService/RetireSourceGroup",
        lambda command: (command.source_group_id, {}),
    ),
    RetireSchedule: ("BackupService/RetireSchedule", lambda command: (command.schedule_id, {})),
}
