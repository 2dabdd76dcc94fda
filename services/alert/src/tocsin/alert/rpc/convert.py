"""Plain values to messages of the contract. Stub types go no further inside than this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import ResolveReason, Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.api.alert.v1 import (
    alert_pb2,
    alert_service_pb2,
    error_reason_pb2,
    event_pb2,
)
from tocsin.common.rpc.status import code_of, told_violations
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Event, Position
    from tocsin.alert.eventlog.log import Entry
    from tocsin.alert.ledger.commands import ChangeAnswer, ClearAnswer, RaiseAnswer
    from tocsin.common.errors import TocsinError

_SEVERITIES = {
    Severity.INFO: alert_pb2.SEVERITY_INFO,
    Severity.WARNING: alert_pb2.SEVERITY_WARNING,
    Severity.CRITICAL: alert_pb2.SEVERITY_CRITICAL,
}
_STATUSES = {
    Status.OPEN: alert_pb2.ALERT_STATUS_OPEN,
    Status.ACKNOWLEDGED: alert_pb2.ALERT_STATUS_ACKNOWLEDGED,
    Status.RESOLVED: alert_pb2.ALERT_STATUS_RESOLVED,
}
_RESOLVE_REASONS = {
    ResolveReason.AUTO: alert_pb2.RESOLVE_REASON_AUTO,
    ResolveReason.MANUAL: alert_pb2.RESOLVE_REASON_MANUAL,
    ResolveReason.RETIRED: alert_pb2.RESOLVE_REASON_RETIRED,
}
_EVENT_TYPES = {
    EventType.RAISED: event_pb2.ALERT_EVENT_TYPE_RAISED,
    EventType.SEVERITY_CHANGED: event_pb2.ALERT_EVENT_TYPE_SEVERITY_CHANGED,
    EventType.CAUSE_CHANGED: event_pb2.ALERT_EVENT_TYPE_CAUSE_CHANGED,
    EventType.ACKNOWLEDGED: event_pb2.ALERT_EVENT_TYPE_ACKNOWLEDGED,
    EventType.UNACKNOWLEDGED: event_pb2.ALERT_EVENT_TYPE_UNACKNOWLEDGED,
    EventType.RESOLVED: event_pb2.ALERT_EVENT_TYPE_RESOLVED,
    EventType.UNSUPPRESSED: event_pb2.ALERT_EVENT_TYPE_UNSUPPRESSED,
}
_RAISE_OUTCOMES = {
    RaiseOutcome.RAISED: alert_service_pb2.RAISE_OUTCOME_RAISED,
    RaiseOutcome.TOUCHED: alert_service_pb2.RAISE_OUTCOME_TOUCHED,
    RaiseOutcome.STALE: alert_service_pb2.RAISE_OUTCOME_STALE,
}
_CLEAR_OUTCOMES = {
    ClearOutcome.RESOLVED: alert_service_pb2.CLEAR_OUTCOME_RESOLVED,
    ClearOutcome.NOTHING_OPEN: alert_service_pb2.CLEAR_OUTCOME_NOTHING_OPEN,
    ClearOutcome.STALE: alert_service_pb2.CLEAR_OUTCOME_STALE,
}


def alert_to_stub(alert: Alert) -> alert_pb2.Alert:
    stub = alert_pb2.Alert(
        alert_id=str(alert.alert_id),
        host_id=alert.key.host_id,
        host_name=alert.host_name,
        kind=alert.key.kind,
        dedup_key=alert.key.dedup_key,
        severity=_SEVERITIES[alert.severity],
        status=_STATUSES[alert.status],
        message=alert.message,
        cause=alert.cause,
        labels=alert.labels,
        occurrences=alert.occurrences,
        raise_time=to_timestamp(alert.raise_time),
        last_seen_time=to_timestamp(alert.last_seen_time),
        version=alert.version,
        host_labels=alert.host_labels,
        source_group_id=alert.subject.source_group_id,
        repository_id=alert.subject.repository_id,
        schedule_id=alert.subject.schedule_id,
        objective_multiple=alert.objective_multiple,
    )
    if alert.previous_alert_id is not None:
        stub.previous_alert_id = str(alert.previous_alert_id)
    if alert.suppressed_by is not None:
        stub.suppressed_by = str(alert.suppressed_by)
    _add_people(stub, alert)
    return stub


def _add_people(stub: alert_pb2.Alert, alert: Alert) -> None:
    acknowledgement, resolution = alert.acknowledgement, alert.resolution
    if acknowledgement is not None:
        stub.acknowledge_time.CopyFrom(to_timestamp(acknowledgement.time))
        stub.acknowledged_by = acknowledgement.actor
        stub.acknowledge_note = acknowledgement.note
        stub.acknowledge_expire_time.CopyFrom(to_timestamp(acknowledgement.expire_time))
    if resolution is not None:
        stub.resolve_time.CopyFrom(to_timestamp(resolution.time))
        stub.resolved_by = resolution.actor
        stub.resolve_reason = _RESOLVE_REASONS[resolution.reason]


def encode_alert(alert: Alert) -> bytes:
    """Serialise an alert, for the snapshot of a stream."""
    return alert_to_stub(alert).SerializeToString()


def encode_event(event: Event) -> bytes:
    """Serialise an event without its position: what the log keeps."""
    stub = event_pb2.AlertEvent(
        event_id=str(event.event_id),
        type=_EVENT_TYPES[event.type],
        alert=alert_to_stub(event.alert),
        actor=event.actor,
        on_behalf_of=event.on_behalf_of,
        note=event.note,
        occur_time=to_timestamp(event.occur_time),
        record_time=to_timestamp(event.record_time),
        traceparent=event.traceparent,
    )
    return stub.SerializeToString()


def event_to_stub(entry: Entry, epoch: UUID) -> event_pb2.AlertEvent:
    """Return the event of an entry of the log, with its position."""
    stub = event_pb2.AlertEvent.FromString(entry.payload)
    stub.position.epoch = str(epoch)
    stub.position.revision = entry.revision
    return stub


def position_to_stub(position: Position) -> event_pb2.Position:
    return event_pb2.Position(epoch=str(position.epoch), revision=position.revision)


def raise_answer_to_stub(answer: RaiseAnswer) -> alert_service_pb2.RaiseOrTouchResponse:
    return alert_service_pb2.RaiseOrTouchResponse(
        alert=None if answer.alert is None else alert_to_stub(answer.alert),
        outcome=_RAISE_OUTCOMES[answer.outcome],
        replayed=answer.replayed,
    )


def clear_answer_to_stub(answer: ClearAnswer) -> alert_service_pb2.AutoResolveResponse:
    return alert_service_pb2.AutoResolveResponse(
        alert=None if answer.alert is None else alert_to_stub(answer.alert),
        outcome=_CLEAR_OUTCOMES[answer.outcome],
        replayed=answer.replayed,
    )


def acknowledge_answer_to_stub(answer: ChangeAnswer) -> alert_service_pb2.AcknowledgeResponse:
    return alert_service_pb2.AcknowledgeResponse(
        alert=alert_to_stub(answer.alert), changed=answer.changed
    )


def resolve_answer_to_stub(answer: ChangeAnswer) -> alert_service_pb2.ResolveResponse:
    return alert_service_pb2.ResolveResponse(
        alert=alert_to_stub(answer.alert), changed=answer.changed
    )


def item_error(error: TocsinError) -> alert_service_pb2.ItemError:
    """Return an error as the answer to one item of a batch. Field paths are those of the item."""
    return alert_service_pb2.ItemError(
        code=code_of(error).value[0],
        message=error.message,
        reason=error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{error.reason}"),
        field_violations=[
            alert_service_pb2.FieldViolation(field=told.field, description=told.description)
            for told in told_violations(error)
        ],
    )
