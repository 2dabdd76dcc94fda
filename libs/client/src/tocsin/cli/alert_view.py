"""Alerts and their events as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.api.alert.v1.alert_pb2 import AlertStatus, ResolveReason, Severity
from tocsin.api.alert.v1.event_pb2 import AlertEventType
from tocsin.cli.names import short_name
from tocsin.cli.references import short_id
from tocsin.cli.text import one_line
from tocsin.cli.times import age, moment_of, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.api.alert.v1.event_pb2 import AlertEvent
    from tocsin.cli.grid import Cell

ALERT_HEADINGS = ("ID", "SEVERITY", "STATUS", "HOST", "KIND", "KEY", "RAISED", "SEEN", "MESSAGE")
EVENT_HEADINGS = ("TIME", "EVENT", "BY", "NOTE")

_SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_STATUS_STYLES = {"open": "bold", "acknowledged": "blue", "resolved": "green"}


def severity_text(alert: Alert) -> Text:
    """Return the severity, coloured."""
    name = short_name(Severity, alert.severity)
    return Text(name.upper(), style=_SEVERITY_STYLES.get(name, ""))


def status_text(alert: Alert) -> Text:
    """Return the status, coloured."""
    name = short_name(AlertStatus, alert.status)
    return Text(name, style=_STATUS_STYLES.get(name, ""))


def alert_row(alert: Alert, now: datetime) -> list[Cell]:
    """Return the row of an alert under ALERT_HEADINGS."""
    return [
        short_id(alert.alert_id),
        severity_text(alert),
        status_text(alert),
        alert.host_name or alert.host_id,
        alert.kind,
        alert.dedup_key,
        age(moment_of(alert.raise_time), now),
        f"x{alert.occurrences}",
        alert.message,
    ]


def alert_summary(alert: Alert) -> str:
    """Return which alert it is, on one line: host, kind, key and id."""
    key = f" {alert.dedup_key}" if alert.dedup_key else ""
    told = f"{alert.host_name or alert.host_id} {alert.kind}{key} ({alert.alert_id})"
    return one_line(told)


def alert_fields(alert: Alert, now: datetime) -> Iterator[tuple[str, str | Text]]:
    """Yield what there is to tell about an alert, by name."""
    told = alert.host_name not in ("", alert.host_id)
    yield "alert", alert.alert_id
    yield "host", f"{alert.host_name} ({alert.host_id})" if told else alert.host_id
    yield "kind", alert.kind
    yield "key", alert.dedup_key
    yield "severity", severity_text(alert)
    yield "status", status_text(alert)
    yield "message", alert.message
    yield "cause", alert.cause
    yield "source group", alert.source_group_id
    yield "repository", alert.repository_id
    yield "schedule", alert.schedule_id
    yield "objective", _objective_passed(alert)
    yield "follows from", alert.suppressed_by
    yield "labels", ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
    yield "raised", _moment(alert.raise_time, now)
    yield "last seen", f"{_moment(alert.last_seen_time, now)}, x{alert.occurrences}"
    yield "acknowledged", _acknowledgement(alert, now)
    yield "resolved", _resolution(alert, now)
    yield "alert before", alert.previous_alert_id


def event_row(event: AlertEvent) -> list[Cell]:
    """Return the row of an event under EVENT_HEADINGS."""
    by = f"{event.actor} for {event.on_behalf_of}" if event.on_behalf_of else event.actor
    return [stamp(moment_of(event.occur_time)), _happened(event), by, event_note(event)]


def event_type(event: AlertEvent) -> str:
    """Return what happened, such as `raised`."""
    return short_name(AlertEventType, event.type)


def event_note(event: AlertEvent) -> str:
    """Return what was said with an event: a note, or the observation's message or cause."""
    if event.note:
        return event.note
    if event.type == AlertEventType.ALERT_EVENT_TYPE_CAUSE_CHANGED:
        return event.alert.cause
    if event.type in _TELLING:
        return event.alert.message
    return ""


_TELLING = (
    AlertEventType.ALERT_EVENT_TYPE_RAISED,
    AlertEventType.ALERT_EVENT_TYPE_SEVERITY_CHANGED,
)


def event_rows(events: Iterable[AlertEvent]) -> list[list[Cell]]:
    """Return the rows of a timeline."""
    return [event_row(event) for event in events]


def _happened(event: AlertEvent) -> str:
    name = event_type(event)
    if event.type in _TELLING:
        return f"{name} {short_name(Severity, event.alert.severity)}"
    if event.type == AlertEventType.ALERT_EVENT_TYPE_RESOLVED:
        return f"{name} {short_name(ResolveReason, event.alert.resolve_reason)}"
    return name


def _objective_passed(alert: Alert) -> str:
    """Tell how far the last good backup had aged when the alert last rose."""
    times = {0: "", 1: "passed"}.get(alert.objective_multiple)
    return f"passed {alert.objective_multiple} times" if times is None else times


def _moment(moment: Timestamp, now: datetime) -> str:
    at = moment_of(moment)
    return f"{stamp(at)} ({age(at, now)})"


def _acknowledgement(alert: Alert, now: datetime) -> str:
    if not alert.HasField("acknowledge_time"):
        return ""
    told = f"{_moment(alert.acknowledge_time, now)} by {alert.acknowledged_by}"
    if alert.HasField("acknowledge_expire_time"):
        told += f", until {_moment(alert.acknowledge_expire_time, now)}"
    return f"{told}\n{alert.acknowledge_note}" if alert.acknowledge_note else told


def _resolution(alert: Alert, now: datetime) -> str:
    if not alert.HasField("resolve_time"):
        return ""
    reason = short_name(ResolveReason, alert.resolve_reason)
    by = f" by {alert.resolved_by}" if alert.resolved_by else ""
    return f"{_moment(alert.resolve_time, now)}{by}, {reason}"
