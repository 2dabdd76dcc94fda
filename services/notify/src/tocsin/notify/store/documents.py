"""A notification as the JSON document that the inbox keeps, and back."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.notify.domain.notification import (
    AlertStatus,
    AlertView,
    EventType,
    Notification,
    ResolveReason,
    Severity,
)


def to_document(notification: Notification) -> dict[str, Any]:
    """Return the document of a notification: only what JSON has."""
    return {**_own_document(notification), "alert": alert_document(notification.alert)}


def document_text(notification: Notification, alert: str) -> str:
    """Return the document of a notification as JSON; `alert` is the `alert_text` of its alert."""
    own = json.dumps(_own_document(notification), ensure_ascii=False)
    return f'{own[:-1]}, "alert": {alert}}}'


def alert_text(alert: AlertView) -> str:
    """Return the document of an alert as JSON."""
    return json.dumps(alert_document(alert), ensure_ascii=False)


def _own_document(notification: Notification) -> dict[str, Any]:
    return {
        "event_id": str(notification.event_id),
        "type": notification.type.value,
        "epoch": str(notification.epoch),
        "revision": notification.revision,
        "actor": notification.actor,
        "on_behalf_of": notification.on_behalf_of,
        "note": notification.note,
        "occur_time": notification.occur_time.isoformat(),
        "record_time": notification.record_time.isoformat(),
        "traceparent": notification.traceparent,
        "synthetic": notification.synthetic,
    }


def from_document(document: dict[str, Any]) -> Notification:
    """Return the notification that `to_document` wrote."""
    return Notification(
        event_id=UUID(document["event_id"]),
        type=EventType(document["type"]),
        epoch=UUID(document["epoch"]),
        revision=document["revision"],
        alert=alert_of(document["alert"]),
        actor=document["actor"],
        on_behalf_of=document["on_behalf_of"],
        note=document["note"],
        occur_time=datetime.fromisoformat(document["occur_time"]),
        record_time=datetime.fromisoformat(document["record_time"]),
        traceparent=document["traceparent"],
        synthetic=document["synthetic"],
    )


def alert_document(alert: AlertView) -> dict[str, Any]:
    """Return the document of an alert, as that of a notification has it under `alert`."""
    return {
        "alert_id": str(alert.alert_id),
        "host_id": alert.host_id,
        "host_name": alert.host_name,
        "kind": alert.kind,
        "dedup_key": alert.dedup_key,
        "severity": alert.severity.value,
        "status": alert.status.value,
        "message": alert.message,
        "cause": alert.cause,
        "labels": dict(alert.labels),
        "occurrences": alert.occurrences,
        "raise_time": alert.raise_time.isoformat(),
        "last_seen_time": alert.last_seen_time.isoformat(),
        "acknowledge_time": _text_of(alert.acknowledge_time),
        "acknowledged_by": alert.acknowledged_by,
        "acknowledge_note": alert.acknowledge_note,
        "acknowledge_expire_time": _text_of(alert.acknowledge_expire_time),
        "resolve_time": _text_of(alert.resolve_time),
        "resolved_by": alert.resolved_by,
        "resolve_reason": None if alert.resolve_reason is None else alert.resolve_reason.value,
        "version": alert.version,
        "previous_alert_id": _text_of(alert.previous_alert_id),
        "suppressed_by": _text_of(alert.suppressed_by),
        "host_labels": dict(alert.host_labels),
        "source_group_id": alert.source_group_id,
        "repository_id": alert.repository_id,
        "schedule_id": alert.schedule_id,
    }


def alert_of(document: dict[str, Any]) -> AlertView:
    """Return the alert that `alert_document` wrote."""
    reason, previous = document["resolve_reason"], document["previous_alert_id"]
    suppressed_by = document.get("suppressed_by")
    return AlertView(
        alert_id=UUID(document["alert_id"]),
        host_id=document["host_id"],
        host_name=document["host_name"],
        kind=document["kind"],
        dedup_key=document["dedup_key"],
        severity=Severity(document["severity"]),
        status=AlertStatus(document["status"]),
        message=document["message"],
        cause=document["cause"],
        labels=document["labels"],
        occurrences=document["occurrences"],
        raise_time=datetime.fromisoformat(document["raise_time"]),
        last_seen_time=datetime.fromisoformat(document["last_seen_time"]),
        acknowledge_time=_time_of(document["acknowledge_time"]),
        acknowledged_by=document["acknowledged_by"],
        acknowledge_note=document["acknowledge_note"],
        acknowledge_expire_time=_time_of(document["acknowledge_expire_time"]),
        resolve_time=_time_of(document["resolve_time"]),
        resolved_by=document["resolved_by"],
        resolve_reason=None if reason is None else ResolveReason(reason),
        version=document["version"],
        previous_alert_id=None if previous is None else UUID(previous),
        # Documents that were kept before these were known lack them.
        suppressed_by=None if suppressed_by is None else UUID(suppressed_by),
        host_labels=document.get("host_labels", {}),
        source_group_id=document.get("source_group_id", ""),
        repository_id=document.get("repository_id", ""),
        schedule_id=document.get("schedule_id", ""),
    )


def _text_of(value: datetime | UUID | None) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _time_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
