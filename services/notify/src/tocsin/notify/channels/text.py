"""The notification in words: for a mail, for a line on a console. Pure.

Host, kind and dedup key stand in every form: two alerts on one host are told apart by them.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from tocsin.notify.channels.base import plain
from tocsin.notify.domain.notification import EventType, ResolveReason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tocsin.notify.domain.notification import AlertView, Notification

_HAPPENED = {
    EventType.RAISED: "RAISED",
    EventType.SEVERITY_CHANGED: "MORE SEVERE",
    EventType.CAUSE_CHANGED: "OTHER CAUSE",
    EventType.ACKNOWLEDGED: "ACKNOWLEDGED",
    EventType.UNACKNOWLEDGED: "OPEN AGAIN",
    EventType.RESOLVED: "RESOLVED",
}
_RESOLVED = {
    ResolveReason.AUTO: "it works again",
    ResolveReason.MANUAL: "by hand",
    ResolveReason.RETIRED: "what it was about was retired",
}


def topic(alert: AlertView) -> str:
    """Name the alert the same way for as long as it lives: its kind, host and key. One line."""
    key = f" ({alert.dedup_key})" if alert.dedup_key else ""
    return plain(f"{alert.kind} on {alert.host_name or alert.host_id}{key}")


def headline(notification: Notification) -> str:
    """Say what happened, in one line."""
    if notification.is_test:
        return "TEST: this channel works"
    alert = notification.alert
    return plain(
        f"{_HAPPENED[notification.type]}: {topic(alert)} [{alert.severity.name}]{_why(alert)}"
    )


def line(notification: Notification) -> str:
    """Return one line for a console: the time, what happened, the first words of the message."""
    alert = notification.alert
    first_words = plain(alert.message)[:200]
    said = f": {first_words}" if first_words else ""
    when = _written(notification.occur_time)
    return plain(f"{when} {headline(notification)}{said} alert_id={alert.alert_id}")


def body(notification: Notification) -> str:
    """Return the whole text for a mail, many lines."""
    alert = notification.alert
    rows = [(name, text) for name, text in _rows(notification) if text]
    width = max(len(name) for name, _ in rows) + 1
    table = "\n".join(f"{name + ':':<{width}} {plain(text)}" for name, text in rows)
    parts = [headline(notification), table]
    if alert.message:
        parts.append(_printable(alert.message))
    return "\n\n".join(parts) + "\n"


def _rows(notification: Notification) -> Iterator[tuple[str, str]]:
    alert = notification.alert
    yield "Host", _host(alert)
    yield "Kind", alert.kind
    yield "Key", alert.dedup_key
    yield "Severity", alert.severity.name.lower()
    yield "Status", alert.status.name.lower()
    yield "Cause", alert.cause
    yield "Raised", _written(alert.raise_time)
    yield "Last seen", f"{_written(alert.last_seen_time)} ({_times(alert.occurrences)})"
    yield "Acknowledged", _acknowledged(alert)
    yield "Resolved", _resolved(alert)
    yield "By", _who(notification)
    yield "Note", notification.note
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
    text = f"{_written(alert.acknowledge_time)} by {alert.acknowledged_by}"
    if alert.acknowledge_expire_time is not None:
        text += f", until {_written(alert.acknowledge_expire_time)}"
    return text


def _resolved(alert: AlertView) -> str:
    if alert.resolve_time is None:
        return ""
    return f"{_written(alert.resolve_time)} by {alert.resolved_by}{_why(alert)}"


def _why(alert: AlertView) -> str:
    return f", {_RESOLVED[alert.resolve_reason]}" if alert.resolve_reason else ""


def _times(occurrences: int) -> str:
    return "once" if occurrences == 1 else f"{occurrences:,} times"


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")


def _printable(text: str) -> str:
    """Keep the lines of a message, without other control characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("".join(c if c.isprintable() else " " for c in row) for row in lines)
