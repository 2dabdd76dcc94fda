"""Messages of notify's own as the JSON documents that the inbox keeps, and back.

Those of notices have a `notice`; all others are notifications.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tocsin.notify.domain.notice import (
    Digest,
    DigestLine,
    FlapNotice,
    Message,
    NoticeType,
    Proof,
    ProofLine,
)
from tocsin.notify.domain.notification import EventType, Notification, Severity
from tocsin.notify.store import documents


def message_document(message: Message) -> dict[str, Any]:
    """Return the document of a message: only what JSON has."""
    match message:
        case Notification():
            return documents.to_document(message)
        case Digest():
            return _digest_document(message)
        case FlapNotice():
            return _flap_document(message)
        case Proof():
            return _proof_document(message)


def message_of(document: dict[str, Any]) -> Message:
    """Return the message that `message_document` wrote."""
    number = document.get("notice")
    if number is None:
        return documents.from_document(document)
    match NoticeType(number):
        case NoticeType.DIGEST:
            return _digest_of(document)
        case NoticeType.PROOF:
            return _proof_of(document)
        case notice_type:
            return _flap_of(document, notice_type)


def _digest_document(digest: Digest) -> dict[str, Any]:
    return {
        "notice": digest.type.value,
        "event_id": str(digest.event_id),
        "occur_time": digest.occur_time.isoformat(),
        "total": digest.total,
        "lines": [_line_document(line) for line in digest.lines],
        "counts": {by: dict(counts) for by, counts in digest.counts.items()},
        "worst": digest.worst.value,
        "group": digest.group,
    }


def _digest_of(document: dict[str, Any]) -> Digest:
    return Digest(
        event_id=UUID(document["event_id"]),
        occur_time=datetime.fromisoformat(document["occur_time"]),
        total=document["total"],
        lines=tuple(map(_line_of, document["lines"])),
        counts=_counts_of(document["counts"]),
        worst=Severity(document["worst"]),
        group=document["group"],
    )


def _counts_of(document: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return counts, the most first: JSON in PostgreSQL keeps no order."""
    return {
        by: dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        for by, counts in document.items()
    }


def _line_document(line: DigestLine) -> dict[str, Any]:
    return {
        "event_id": str(line.event_id),
        "type": line.type.value,
        "alert_id": str(line.alert_id),
        "host_id": line.host_id,
        "host_name": line.host_name,
        "kind": line.kind,
        "dedup_key": line.dedup_key,
        "severity": line.severity.value,
        "message": line.message,
        "occur_time": line.occur_time.isoformat(),
    }


def _line_of(document: dict[str, Any]) -> DigestLine:
    return DigestLine(
        event_id=UUID(document["event_id"]),
        type=EventType(document["type"]),
        alert_id=UUID(document["alert_id"]),
        host_id=document["host_id"],
        host_name=document["host_name"],
        kind=document["kind"],
        dedup_key=document["dedup_key"],
        severity=Severity(document["severity"]),
        message=document["message"],
        occur_time=datetime.fromisoformat(document["occur_time"]),
    )


def _flap_document(notice: FlapNotice) -> dict[str, Any]:
    return {
        "notice": notice.type.value,
        "event_id": str(notice.event_id),
        "subject_id": str(notice.subject_id),
        "alert_id": str(notice.alert_id),
        "host_id": notice.host_id,
        "host_name": notice.host_name,
        "kind": notice.kind,
        "dedup_key": notice.dedup_key,
        "severity": notice.severity.value,
        "raises": notice.raises,
        "window_seconds": notice.window.total_seconds(),
        "is_open": notice.is_open,
        "occur_time": notice.occur_time.isoformat(),
    }


def _flap_of(document: dict[str, Any], notice_type: NoticeType) -> FlapNotice:
    return FlapNotice(
        event_id=UUID(document["event_id"]),
        type=notice_type,
        subject_id=UUID(document["subject_id"]),
        alert_id=UUID(document["alert_id"]),
        host_id=document["host_id"],
        host_name=document["host_name"],
        kind=document["kind"],
        dedup_key=document["dedup_key"],
        severity=Severity(document["severity"]),
        raises=document["raises"],
        window=timedelta(seconds=document["window_seconds"]),
        is_open=document["is_open"],
        occur_time=datetime.fromisoformat(document["occur_time"]),
    )


def _proof_document(proof: Proof) -> dict[str, Any]:
    return {
        "notice": proof.type.value,
        "event_id": str(proof.event_id),
        "occur_time": proof.occur_time.isoformat(),
        "route_name": proof.route_name,
        "total": proof.total,
        "late": proof.late,
        "open_alerts": proof.open_alerts,
        "lines": [_proof_line_document(line) for line in proof.lines],
        "problem": proof.problem,
    }


def _proof_of(document: dict[str, Any]) -> Proof:
    return Proof(
        event_id=UUID(document["event_id"]),
        occur_time=datetime.fromisoformat(document["occur_time"]),
        route_name=document["route_name"],
        total=document["total"],
        late=document["late"],
        open_alerts=document["open_alerts"],
        lines=tuple(map(_proof_line_of, document["lines"])),
        problem=document["problem"],
    )


def _proof_line_document(line: ProofLine) -> dict[str, Any]:
    return {
        "host_name": line.host_name,
        "source_group": line.source_group,
        "last_good_time": _time_text(line.last_good_time),
        "age_seconds": _seconds(line.age),
        "objective_seconds": _seconds(line.objective),
        "next_due_time": _time_text(line.next_due_time),
        "open_alerts": line.open_alerts,
    }


def _proof_line_of(document: dict[str, Any]) -> ProofLine:
    return ProofLine(
        host_name=document["host_name"],
        source_group=document["source_group"],
        last_good_time=_time(document["last_good_time"]),
        age=_duration(document["age_seconds"]),
        objective=_duration(document["objective_seconds"]),
        next_due_time=_time(document["next_due_time"]),
        open_alerts=document["open_alerts"],
    )


def _time_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
