"""Plain values to messages of the contract. Stub types go no further inside than this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import NOTHING_NAMED
from tocsin.api.alert.v1 import (
    alert_pb2,
    alert_service_pb2,
    error_reason_pb2,
    event_pb2,
)
from tocsin.common.rpc.status import code_of, told_violations
from tocsin.common.rpc.times import set_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from uuid import UUID

    from tocsin.alert.domain.alert import Acknowledgement, Alert, Resolution, Subject
    from tocsin.alert.domain.event import Position
    from tocsin.alert.eventlog.log import Record
    from tocsin.alert.ledger.commands import ChangeAnswer, ClearAnswer, RaiseAnswer
    from tocsin.common.errors import TocsinError

# By the numbers of the domain, which index them: to look an enumeration up in a dict costs 0.2 µs.
_SEVERITIES = (
    alert_pb2.SEVERITY_UNSPECIFIED,
    alert_pb2.SEVERITY_INFO,
    alert_pb2.SEVERITY_WARNING,
    alert_pb2.SEVERITY_CRITICAL,
)
_STATUSES = (
    alert_pb2.ALERT_STATUS_UNSPECIFIED,
    alert_pb2.ALERT_STATUS_OPEN,
    alert_pb2.ALERT_STATUS_ACKNOWLEDGED,
    alert_pb2.ALERT_STATUS_RESOLVED,
)
_RESOLVE_REASONS = (
    alert_pb2.RESOLVE_REASON_UNSPECIFIED,
    alert_pb2.RESOLVE_REASON_AUTO,
    alert_pb2.RESOLVE_REASON_MANUAL,
    alert_pb2.RESOLVE_REASON_RETIRED,
)
EVENT_TYPES = (
    event_pb2.ALERT_EVENT_TYPE_UNSPECIFIED,
    event_pb2.ALERT_EVENT_TYPE_RAISED,
    event_pb2.ALERT_EVENT_TYPE_SEVERITY_CHANGED,
    event_pb2.ALERT_EVENT_TYPE_CAUSE_CHANGED,
    event_pb2.ALERT_EVENT_TYPE_ACKNOWLEDGED,
    event_pb2.ALERT_EVENT_TYPE_UNACKNOWLEDGED,
    event_pb2.ALERT_EVENT_TYPE_RESOLVED,
    event_pb2.ALERT_EVENT_TYPE_UNSUPPRESSED,
)
RAISE_OUTCOMES = (
    alert_service_pb2.RAISE_OUTCOME_UNSPECIFIED,
    alert_service_pb2.RAISE_OUTCOME_RAISED,
    alert_service_pb2.RAISE_OUTCOME_TOUCHED,
    alert_service_pb2.RAISE_OUTCOME_STALE,
)
_CLEAR_OUTCOMES = (
    alert_service_pb2.CLEAR_OUTCOME_UNSPECIFIED,
    alert_service_pb2.CLEAR_OUTCOME_RESOLVED,
    alert_service_pb2.CLEAR_OUTCOME_NOTHING_OPEN,
    alert_service_pb2.CLEAR_OUTCOME_STALE,
)


def alert_to_stub(alert: Alert) -> alert_pb2.Alert:
    stub = alert_pb2.Alert()
    fill_alert(stub, alert)
    return stub


def fill_alert(stub: alert_pb2.Alert, alert: Alert) -> None:
    """Write an alert into an empty message.

    In place, field by field: a message made of keywords and put into another costs three times
    as much.
    """
    fill_lasting(stub, alert)
    set_timestamp(stub.raise_time, alert.raise_time)
    stub.message = alert.message
    stub.occurrences = alert.occurrences
    set_timestamp(stub.last_seen_time, alert.last_seen_time)
    stub.version = alert.version


def fill_lasting(stub: alert_pb2.Alert, alert: Alert) -> None:
    """Write what a touch leaves as it is, but for raise_time.

    That is all but message, occurrences, last_seen_time and version. (A touch that raises neither
    severity nor cause.)
    """
    key = alert.key
    stub.alert_id = str(alert.alert_id)
    stub.host_id = key.host_id
    stub.host_name = alert.host_name
    stub.kind = key.kind
    stub.dedup_key = key.dedup_key
    stub.severity = _SEVERITIES[alert.severity]
    stub.status = _STATUSES[alert.status]
    stub.cause = alert.cause
    if alert.labels:
        _fill_labels(stub.labels, alert.labels)
    if alert.host_labels:
        _fill_labels(stub.host_labels, alert.host_labels)
    if alert.subject is not NOTHING_NAMED:
        _fill_subject(stub, alert.subject)
    if alert.objective_multiple:
        stub.objective_multiple = alert.objective_multiple
    if alert.previous_alert_id is not None:
        stub.previous_alert_id = str(alert.previous_alert_id)
    if alert.suppressed_by is not None:
        stub.suppressed_by = str(alert.suppressed_by)
    if alert.acknowledgement is not None:
        _fill_acknowledgement(stub, alert.acknowledgement)
    if alert.resolution is not None:
        _fill_resolution(stub, alert.resolution)


def _fill_labels(field: MutableMapping[str, str], labels: Mapping[str, str]) -> None:
    for name, value in labels.items():
        field[name] = value


def _fill_subject(stub: alert_pb2.Alert, subject: Subject) -> None:
    stub.source_group_id = subject.source_group_id
    stub.repository_id = subject.repository_id
    stub.schedule_id = subject.schedule_id


def _fill_acknowledgement(stub: alert_pb2.Alert, acknowledgement: Acknowledgement) -> None:
    set_timestamp(stub.acknowledge_time, acknowledgement.time)
    stub.acknowledged_by = acknowledgement.actor
    stub.acknowledge_note = acknowledgement.note
    set_timestamp(stub.acknowledge_expire_time, acknowledgement.expire_time)


def _fill_resolution(stub: alert_pb2.Alert, resolution: Resolution) -> None:
    set_timestamp(stub.resolve_time, resolution.time)
    stub.resolved_by = resolution.actor
    stub.resolve_reason = _RESOLVE_REASONS[resolution.reason]


def event_to_stub(record: Record, epoch: UUID) -> event_pb2.AlertEvent:
    """Return the event of a record of the log, with its position."""
    stub = event_pb2.AlertEvent.FromString(record.payload)
    stub.position.epoch = str(epoch)
    stub.position.revision = record.revision
    return stub


def position_to_stub(position: Position) -> event_pb2.Position:
    return event_pb2.Position(epoch=str(position.epoch), revision=position.revision)


def raise_answer_to_stub(answer: RaiseAnswer) -> alert_service_pb2.RaiseOrTouchResponse:
    stub = alert_service_pb2.RaiseOrTouchResponse()
    if answer.alert is not None:
        fill_alert(stub.alert, answer.alert)
    stub.outcome = RAISE_OUTCOMES[answer.outcome]
    stub.replayed = answer.replayed
    return stub


def clear_answer_to_stub(answer: ClearAnswer) -> alert_service_pb2.AutoResolveResponse:
    stub = alert_service_pb2.AutoResolveResponse()
    if answer.alert is not None:
        fill_alert(stub.alert, answer.alert)
    stub.outcome = _CLEAR_OUTCOMES[answer.outcome]
    stub.replayed = answer.replayed
    return stub


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
