"""The body of a webhook: a CloudEvents 1.0 event in JSON, structured mode. Pure.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md. The document
is a contract with receivers, described in docs/webhooks.md: fields may be added, none change.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.text import headline

if TYPE_CHECKING:
    from datetime import datetime
    from enum import IntEnum

    from tocsin.notify.domain.notification import AlertView, Notification

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SOURCE = "/tocsin/alert"


def cloudevent(notification: Notification) -> bytes:
    """Return the request body: the same bytes at every attempt."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(notification.event_id),
        "source": SOURCE,
        "type": notification.event_type,
        "subject": str(notification.alert.alert_id),
        "time": rfc3339(notification.occur_time),
        "datacontenttype": "application/json",
    }
    if notification.traceparent:
        event["traceparent"] = notification.traceparent
    event["data"] = _event(notification)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def rfc3339(time: datetime) -> str:
    """Write a time as RFC 3339, in UTC with microseconds: 2026-01-31T22:15:00.000000Z."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _event(notification: Notification) -> dict[str, Any]:
    return {
        "summary": headline(notification),
        "event_id": str(notification.event_id),
        "type": notification.event_type.rpartition(".")[2],
        "position": {"epoch": str(notification.epoch), "revision": notification.revision},
        "synthetic": notification.synthetic,
        "actor": notification.actor,
        "on_behalf_of": notification.on_behalf_of,
        "note": notification.note,
        "occur_time": rfc3339(notification.occur_time),
        "record_time": rfc3339(notification.record_time),
        "alert": _alert(notification.alert),
    }


def _alert(alert: AlertView) -> dict[str, Any]:
    return {
        "alert_id": str(alert.alert_id),
        "host_id": alert.host_id,
        "host_name": alert.host_name,
        "kind": alert.kind,
        "dedup_key": alert.dedup_key,
        "severity": _name(alert.severity),
        "status": _name(alert.status),
        "message": alert.message,
        "cause": alert.cause,
        "labels": dict(sorted(alert.labels.items())),
        "occurrences": alert.occurrences,
        "raise_time": rfc3339(alert.raise_time),
        "last_seen_time": rfc3339(alert.last_seen_time),
        "acknowledge_time": _time(alert.acknowledge_time),
        "acknowledged_by": alert.acknowledged_by,
        "acknowledge_note": alert.acknowledge_note,
        "acknowledge_expire_time": _time(alert.acknowledge_expire_time),
        "resolve_time": _time(alert.resolve_time),
        "resolved_by": alert.resolved_by,
        "resolve_reason": _name(alert.resolve_reason),
        "version": alert.version,
        "previous_alert_id": str(alert.previous_alert_id) if alert.previous_alert_id else None,
    }


def _name(member: IntEnum | None) -> str | None:
    return member.name.lower() if member is not None else None


def _time(time: datetime | None) -> str | None:
    return rfc3339(time) if time is not None else None
