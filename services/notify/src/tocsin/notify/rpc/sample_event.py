"""The event that a caller makes up to try routes with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import ID_CHARACTERS, check_labels, check_text
from tocsin.notify.domain.notification import (
    AlertStatus,
    AlertView,
    EventType,
    Notification,
    Severity,
)
from tocsin.notify.rpc.matcher_rules import EVENT_TYPES, SEVERITIES, check_choice, check_kind

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.api.notify.v1 import route_service_pb2 as api
    from tocsin.common.errors import Violations

_NO_ID = UUID(int=0)
_STATUSES = {
    EventType.ACKNOWLEDGED: AlertStatus.ACKNOWLEDGED,
    EventType.RESOLVED: AlertStatus.RESOLVED,
}


def read_sample(
    found: Violations, path: str, given: api.SampleEvent, now: datetime
) -> Notification:
    """Return the event that a sample describes, of no use once anything is noted."""
    event_type = given.event_type or "raised"
    severity = given.severity or "warning"
    check_choice(found, f"{path}.event_type", event_type, EVENT_TYPES)
    check_choice(found, f"{path}.severity", severity, SEVERITIES)
    check_kind(found, f"{path}.kind", given.kind)
    check_text(found, f"{path}.host_id", given.host_id, least=1, most=ID_CHARACTERS)
    for name in (
        "host_name",
        "dedup_key",
        "cause",
        "source_group_id",
        "repository_id",
        "schedule_id",
    ):
        check_text(found, f"{path}.{name}", getattr(given, name), most=ID_CHARACTERS)
    check_labels(found, f"{path}.labels", given.labels)
    check_labels(found, f"{path}.host_labels", given.host_labels)
    at = now
    if given.HasField("occur_time"):
        at = read_timestamp(found, f"{path}.occur_time", given.occur_time) or now
    found.raise_if_any()
    kind = EventType[event_type.upper()]
    return Notification(
        event_id=_NO_ID,
        type=kind,
        epoch=_NO_ID,
        revision=0,
        alert=_alert(given, Severity[severity.upper()], kind, at),
        actor="",
        on_behalf_of="",
        note="",
        occur_time=at,
        record_time=at,
        traceparent="",
    )


def _alert(
    given: api.SampleEvent, severity: Severity, event_type: EventType, at: datetime
) -> AlertView:
    return AlertView(
        alert_id=_NO_ID,
        host_id=given.host_id,
        host_name=given.host_name or given.host_id,
        kind=given.kind,
        dedup_key=given.dedup_key,
        severity=severity,
        status=_STATUSES.get(event_type, AlertStatus.OPEN),
        message="",
        cause=given.cause,
        labels=dict(given.labels),
        occurrences=1,
        raise_time=at,
        last_seen_time=at,
        acknowledge_time=None,
        acknowledged_by="",
        acknowledge_note="",
        acknowledge_expire_time=None,
        resolve_time=None,
        resolved_by="",
        resolve_reason=None,
        version=1,
        previous_alert_id=None,
        host_labels=dict(given.host_labels),
        source_group_id=given.source_group_id,
        repository_id=given.repository_id,
        schedule_id=given.schedule_id,
    )
