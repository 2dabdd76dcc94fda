"""The body of a webhook: a CloudEvents 1.0 event in JSON, structured mode. Pure.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md. The document
is a contract with receivers, described in docs/webhooks.md: fields may be added, none change.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.event_values import name_of, rfc3339, time_of
from tocsin.notify.channels.notice_event import notice_data
from tocsin.notify.channels.text import headline
from tocsin.notify.domain.notice import FlapNotice
from tocsin.notify.domain.notification import Notification

if TYPE_CHECKING:
    from tocsin.notify.domain.notice import Message
    from tocsin.notify.domain.notification import AlertView

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SOURCE = "/tocsin/alert"
NOTICE_SOURCE = "/tocsin/notify"


def cloudevent(message: Message) -> bytes:
    """Return the request body: the same bytes for the same message."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(message.event_id),
        "source": SOURCE if isinstance(message, Notification) else NOTICE_SOURCE,
        "type": message.event_type,
    }
    if isinstance(message, Notification):
        event["subject"] = str(message.alert.alert_id)
    elif isinstance(message, FlapNotice):
        event["subject"] = str(message.alert_id)
    event["time"] = rfc3339(message.occur_time)
    event["datacontenttype"] = "application/json"
    if isinstance(message, Notification):
        if message.traceparent:
            event["traceparent"] = message.traceparent
        event["data"] = _event(message)
    else:
        event["data"] = notice_data(message)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _event(notification: Notification) -> dict[str, Any]:
    return {
        "summary": headline(notification),
        "event_id": str(notification.event_id),
        "type": notification.event_type.rpartition(".")[2],
        "position": {"epoch": str(notification.epoch), "revision": notification.revision},
        "synthetic": notification.synthetic,
        "collapsed_count": notification.collapsed_count,
        "explained_count": notification.explained_count,
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
        "severity": name_of(alert.severity),
        "status": name_of(alert.status),
        "message": alert.message,
        "cause": alert.cause,
        "labels": dict(sorted(alert.labels.items())),
        "occurrences": alert.occurrences,
        "raise_time": rfc3339(alert.raise_time),
        "last_seen_time": rfc3339(alert.last_seen_time),
        "acknowledge_time": time_of(alert.acknowledge_time),
        "acknowledged_by": alert.acknowledged_by,
        "acknowledge_note": alert.acknowledge_note,
        "acknowledge_expire_time": time_of(alert.acknowledge_expire_time),
        "resolve_time": time_of(alert.resolve_time),
        "resolved_by": alert.resolved_by,
        "resolve_reason": name_of(alert.resolve_reason),
        "version": alert.version,
        "previous_alert_id": str(alert.previous_alert_id) if alert.previous_alert_id else None,
        "suppressed_by": str(alert.suppressed_by) if alert.suppressed_by else None,
        "host_labels": dict(sorted(alert.host_labels.items())),
        "source_group_id": alert.source_group_id,
        "repository_id": alert.repository_id,
        "schedule_id": alert.schedule_id,
    }
