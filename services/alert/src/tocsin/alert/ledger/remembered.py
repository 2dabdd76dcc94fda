"""Answers that outlive their call, so that a retry gets the first one back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tocsin.alert.domain.alert import (
    Acknowledgement,
    Alert,
    Resolution,
    ResolveReason,
    Severity,
    Subject,
)
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.ledger.commands import (
    AlertAnswer,
    AlertCommand,
    AutoResolve,
    ChangeAnswer,
    ClearAnswer,
    RaiseAnswer,
    RaiseOrTouch,
)
from tocsin.common.errors import FieldViolation, InvalidArgumentError

if TYPE_CHECKING:
    from tocsin.alert.ledger.commands import RequestRef


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a request_id was answered, and to which command with which content."""

    command: str
    fingerprint: bytes
    answer: AlertAnswer

    def answer_to(self, command: AlertCommand, request: RequestRef) -> AlertAnswer:
        """Return the first answer to a retry of the same command.

        Raises InvalidArgumentError (REQUEST_ID_REUSED) when it is another one.
        """
        if (self.command, self.fingerprint) != (type(command).__name__, request.fingerprint):
            raise _reused(request.request_id)
        if isinstance(self.answer, ChangeAnswer):
            return self.answer
        return self.answer._replace(replayed=True)

    def to_document(self) -> str:
        """Write all but the fingerprint as JSON."""
        answer = self.answer
        result = answer.changed if isinstance(answer, ChangeAnswer) else int(answer.outcome)
        alert = None if answer.alert is None else _alert_to_document(answer.alert)
        return json.dumps({"command": self.command, "result": result, "alert": alert})

    @classmethod
    def from_document(cls, fingerprint: bytes, document: str) -> Remembered:
        """Read what `to_document` wrote."""
        read = json.loads(document)
        command = read["command"]
        answer = _answer_of(command, read["result"], read["alert"])
        return cls(command, fingerprint, answer)


def _reused(request_id: str) -> InvalidArgumentError:
    violation = FieldViolation(
        "request_id",
        f"{request_id!r} was used within 24 h for a call with other content; use a new one",
    )
    return InvalidArgumentError(
        f"request_id: {violation.description}",
        reason="REQUEST_ID_REUSED",
        violations=(violation,),
    )


def _answer_of(command: str, result: int, document: dict[str, Any] | None) -> AlertAnswer:
    alert = None if document is None else _alert_from_document(document)
    if command == RaiseOrTouch.__name__:
        return RaiseAnswer(alert, RaiseOutcome(result))
    if command == AutoResolve.__name__:
        return ClearAnswer(alert, ClearOutcome(result))
    if alert is None:
        raise ValueError(f"a remembered answer to {command} has no alert")
    return ChangeAnswer(alert, changed=bool(result))


def _alert_to_document(alert: Alert) -> dict[str, Any]:
    acknowledged = alert.acknowledgement
    resolved = alert.resolution
    previous = alert.previous_alert_id
    return {
        "alert_id": str(alert.alert_id),
        "key": [alert.key.host_id, alert.key.kind, alert.key.dedup_key],
        "host_name": alert.host_name,
        "severity": int(alert.severity),
        "message": alert.message,
        "cause": alert.cause,
        "occurrences": alert.occurrences,
        "raise_time": alert.raise_time.isoformat(),
        "last_seen_time": alert.last_seen_time.isoformat(),
        "version": alert.version,
        "labels": dict(alert.labels),
        "acknowledgement": acknowledged
        and [
            acknowledged.time.isoformat(),
            acknowledged.actor,
            acknowledged.note,
            acknowledged.expire_time.isoformat(),
        ],
        "resolution": resolved
        and [resolved.time.isoformat(), resolved.actor, int(resolved.reason)],
        "previous_alert_id": previous and str(previous),
        "host_labels": dict(alert.host_labels),
        "subject": [
            alert.subject.source_group_id,
            alert.subject.repository_id,
            alert.subject.schedule_id,
        ],
        "suppressed_by": alert.suppressed_by and str(alert.suppressed_by),
        "objective_multiple": alert.objective_multiple,
    }


def _alert_from_document(document: dict[str, Any]) -> Alert:
    acknowledged = document["acknowledgement"]
    resolved = document["resolution"]
    previous = document["previous_alert_id"]
    root = document.get("suppressed_by")  # an answer from before there were subjects has none
    return Alert(
        alert_id=UUID(document["alert_id"]),
        key=Key(*document["key"]),
        host_name=document["host_name"],
        severity=Severity(document["severity"]),
        message=document["message"],
        cause=document["cause"],
        occurrences=document["occurrences"],
        raise_time=datetime.fromisoformat(document["raise_time"]),
        last_seen_time=datetime.fromisoformat(document["last_seen_time"]),
        version=document["version"],
        labels=document["labels"],
        acknowledgement=acknowledged and _acknowledgement_of(*acknowledged),
        resolution=resolved and _resolution_of(*resolved),
        previous_alert_id=previous and UUID(previous),
        host_labels=document.get("host_labels", {}),
        subject=Subject(*document.get("subject", ())),
        suppressed_by=root and UUID(root),
        objective_multiple=document.get("objective_multiple", 0),
    )


def _acknowledgement_of(time: str, actor: str, note: str, expire_time: str) -> Acknowledgement:
    return Acknowledgement(
        datetime.fromisoformat(time), actor, note, datetime.fromisoformat(expire_time)
    )


def _resolution_of(time: str, actor: str, reason: int) -> Resolution:
    return Resolution(datetime.fromisoformat(time), actor, ResolveReason(reason))
