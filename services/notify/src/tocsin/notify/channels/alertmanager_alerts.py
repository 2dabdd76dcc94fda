"""Messages as the alerts that an Alertmanager keeps. Pure.

Labels are what an alert is known by there: all that is told of it must have the same ones. The
severity is a label because routes look at it, so an alert that became more severe is another one,
and the milder one is ended with it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.event_values import rfc3339
from tocsin.notify.channels.facts import facts
from tocsin.notify.channels.standing import Standing, subject_of
from tocsin.notify.channels.words import words
from tocsin.notify.domain.notice import FlapNotice, Message, Proof
from tocsin.notify.domain.notification import AlertView, EventType, Notification, Severity

if TYPE_CHECKING:
    from datetime import datetime

# Without an end it would be taken for resolved after resolve_timeout (5 minutes).
_FOR_NOW = timedelta(days=3_650)
_TEST_LASTS = timedelta(minutes=5)
_DIGEST_LASTS = timedelta(hours=1)
_AFTER_MILDER = {EventType.SEVERITY_CHANGED, EventType.RESOLVED}
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
_TEXT_CHARACTERS = 16_384


def alerts_of(message: Message) -> list[dict[str, Any]]:
    """Return the body of the request: one alert, and the milder ones that it stands for."""
    if isinstance(message, Notification):
        return [*_milder(message), _alert(message)]
    labels, lasts = _labels_of_notice(message)
    told = words(message)
    ends = message.occur_time
    if subject_of(message).standing is Standing.WRONG:
        ends += lasts
    annotations = {
        "summary": told.title,
        "description": "\n".join(told.fitted(_TEXT_CHARACTERS)),
    }
    return [_document(labels, annotations, message.occur_time, ends)]


def _alert(notification: Notification) -> dict[str, Any]:
    alert = notification.alert
    told = dict(facts(notification))
    annotations = {
        "summary": words(notification).title,
        "description": alert.message,
        "cause": alert.cause,
        "host_name": alert.host_name,
        "acknowledged": told.get("Acknowledged", ""),
        "resolved": told.get("Resolved", ""),
        "note": notification.note,
        "alert_id": str(alert.alert_id),
        "event": notification.event_type,
    }
    return _document(
        _labels(alert, alert.severity), annotations, alert.raise_time, _end(notification)
    )


def _end(notification: Notification) -> datetime:
    alert = notification.alert
    if notification.is_test:
        return notification.occur_time + _TEST_LASTS
    if subject_of(notification).standing is Standing.RIGHT:
        return max(alert.resolve_time or notification.occur_time, alert.raise_time)
    return notification.occur_time + _FOR_NOW


def _milder(notification: Notification) -> list[dict[str, Any]]:
    """Return the alerts of lower severity as ended, where it may have been one of them before.

    Not always: they would be shown beside it as resolved.
    """
    alert = notification.alert
    if not _may_have_been_milder(notification):
        return []
    end = max(notification.occur_time, alert.raise_time)
    return [
        _document(_labels(alert, severity), {}, alert.raise_time, end)
        for severity in Severity
        if severity < alert.severity
    ]


def _may_have_been_milder(notification: Notification) -> bool:
    if notification.synthetic or notification.type in _AFTER_MILDER:
        return True
    return notification.type is not EventType.RAISED and notification.collapsed_count > 0


def _labels(alert: AlertView, severity: Severity) -> dict[str, str]:
    own = {
        f"label_{_NOT_IN_A_NAME.sub('_', name)}": text
        for name, text in sorted(alert.labels.items())
    }
    return own | {
        "alertname": alert.kind,
        "host": alert.host_id,
        "dedup_key": alert.dedup_key,
        "severity": severity.name.lower(),
        "service": "tocsin",
    }


def _labels_of_notice(message: Message) -> tuple[dict[str, str], timedelta]:
    """Return what a notice is known by, and for how long it stands unless it is ended."""
    common = {"service": "tocsin"}
    match message:
        case FlapNotice():
            named = {
                "alertname": "tocsin_flapping",
                "kind": message.kind,
                "host": message.host_id,
                "dedup_key": message.dedup_key,
            }
            return common | named, _FOR_NOW
        case Proof():
            return common | {"alertname": "tocsin_proof", "route": message.route_name}, _FOR_NOW
        case _:
            named = {"alertname": "tocsin_digest", "event_id": str(message.event_id)}
            return common | named, _DIGEST_LASTS


def _document(
    labels: dict[str, str], annotations: dict[str, str], start: datetime, end: datetime
) -> dict[str, Any]:
    return {
        # An empty one is the same as none.
        "labels": {name: text for name, text in labels.items() if text},
        "annotations": {
            name: text[:_TEXT_CHARACTERS] for name, text in annotations.items() if text
        },
        "startsAt": rfc3339(start),
        "endsAt": rfc3339(end),
    }
