"""What is known of an alert, as names and values for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.notify.channels.base import plain
from tocsin.notify.channels.text import why, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.notify.domain.notification import AlertView, Notification


def facts(notification: Notification) -> list[tuple[str, str]]:
    """Return the rows of a table about an event, only those that say something. One line each."""
    return [(name, plain(text)) for name, text in _rows(notification) if text]


def _rows(notification: Notification) -> Iterator[tuple[str, str]]:
    alert = notification.alert
    yield "Host", _host(alert)
    yield "Kind", alert.kind
    yield "Key", alert.dedup_key
    yield "Severity", alert.severity.name.lower()
    yield "Status", alert.status.name.lower()
    yield "Cause", alert.cause
    yield "Raised", written(alert.raise_time)
    yield "Last seen", f"{written(alert.last_seen_time)} ({_times(alert.occurrences)})"
    yield "Acknowledged", _acknowledged(alert)
    yield "Resolved", _resolved(alert)
    yield "By", _who(notification)
    yield "Note", notification.note
    yield "Explains", _explained(notification.explained_count)
    yield "Stands for", _collapsed(notification.collapsed_count)
    for name, value in sorted(alert.labels.items()):
        yield f"Label {plain(name)}", value
    yield "Alert", str(alert.alert_id)
    yield "Event", str(notification.event_id)


def _host(alert: AlertView) -> str:
    if alert.host_name in {"", alert.host_id}:
        return alert.host_id
    return f"{alert.host_name} ({alert.host_id})"


def _who(notification: Notification) -> str:
    if not notification.on_behalf_of:
        return notification.actor
    return f"{notification.actor} on behalf of {notification.on_behalf_of}"


def _acknowledged(alert: AlertView) -> str:
    if alert.acknowledge_time is None:
        return ""
    text = f"{written(alert.acknowledge_time)} by {alert.acknowledged_by}"
    if alert.acknowledge_expire_time is not None:
        text += f", until {written(alert.acknowledge_expire_time)}"
    return text


def _resolved(alert: AlertView) -> str:
    if alert.resolve_time is None:
        return ""
    return f"{written(alert.resolve_time)} by {alert.resolved_by}{why(alert)}"


def _explained(count: int) -> str:
    if not count:
        return ""
    alerts = "one other alert" if count == 1 else f"{count:,} other alerts"
    return f"{alerts}, told only when still wrong after this one is over"


def _collapsed(count: int) -> str:
    if not count:
        return ""
    return "one earlier event too" if count == 1 else f"{count:,} earlier events too"


def _times(occurrences: int) -> str:
    return "once" if occurrences == 1 else f"{occurrences:,} times"
