"""What the stream sends, as the inbox keeps it: the one place of the follower with stub types."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from uuid import UUID, uuid5

from tocsin.api.alert.v1.alert_pb2 import ALERT_STATUS_RESOLVED, Alert
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RESOLVED, AlertEvent, Position
from tocsin.notify.domain.notification import (
    AlertStatus,
    AlertView,
    EventType,
    Notification,
    ResolveReason,
    Severity,
)
from tocsin.notify.store.documents import (
    alert_document,
    alert_text,
    document_text,
    to_document,
)
from tocsin.notify.store.inbox import Cursor, InboxEvent
from tocsin.notify.store.known_alerts import KnownAlert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.client.batch import StreamBatch, StreamEvent

_NAMESPACE: Final = UUID("0d7c9a54-6a0f-5a3e-9d51-0f0a4f6f7b1e")
_LONGEST_REASON = 1024
_SMALLINT = range(-32768, 32768)

E = TypeVar("E", bound=IntEnum)


class UnreadableError(ValueError):
    """An event that does not say what the contract asks for. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A part of the stream: the events, and what is known of their alerts after them."""

    cursor: Cursor
    events: tuple[InboxEvent, ...]
    known: dict[UUID, KnownAlert] = field(default_factory=dict)
    resolved: frozenset[UUID] = frozenset()


class _AlertRead(NamedTuple):
    """An alert of the stream and its document, or why it cannot be read."""

    view: AlertView | None
    text: str | None
    refusal: str = ""


def arrivals(batch: StreamBatch) -> Arrivals:
    """Read a batch of the stream. Raises UnreadableError only for an unreadable position."""
    cursor = to_cursor(batch.position)
    known = {each.alert_id: each for each in map(_known, batch.snapshot) if each is not None}
    resolved: set[UUID] = set()
    events = []
    for received in batch.events:
        alert = _read(received.event.alert)
        _follow(received.event, alert, known, resolved)
        events.append(_inbox_event(received, alert, cursor))
    return Arrivals(cursor, tuple(events), known, frozenset(resolved))


def _inbox_event(received: StreamEvent, alert: _AlertRead, cursor: Cursor) -> InboxEvent:
    """Read one event; one that cannot be read comes back in quarantine."""
    try:
        notification = _notification(received.event, alert, synthetic=received.synthetic)
        document = document_text(notification, alert.text or "")
        if _may_hold_nul(document):
            _refuse_nul(to_document(notification))
    except UnreadableError as error:
        return _quarantined(received, cursor, str(error))
    return InboxEvent(
        event_id=notification.event_id,
        epoch=notification.epoch,
        revision=notification.revision,
        synthetic=received.synthetic,
        type=notification.type.value,
        alert_id=notification.alert.alert_id,
        document=document,
        notification=notification,
    )


def quarantined(event: InboxEvent, received: StreamEvent, reason: str) -> InboxEvent:
    """Put an event that was read but could not be kept into quarantine."""
    return replace(
        event,
        document=None,
        notification=None,
        quarantine_reason=reason[:_LONGEST_REASON],
        quarantined_payload=received.event.SerializeToString(),
    )


def to_cursor(position: Position) -> Cursor:
    return Cursor(_uuid(position.epoch, "position.epoch"), position.revision)


def to_position(cursor: Cursor) -> Position:
    return Position(epoch=str(cursor.epoch), revision=cursor.revision)


def to_alerts(payloads: Iterable[bytes]) -> Iterator[Alert]:
    """Read alerts one by one: as messages all of them take much room."""
    return map(Alert.FromString, payloads)


def to_known(payloads: Iterable[bytes]) -> list[KnownAlert]:
    """Read known alerts anew, with the documents that they lack."""
    return [each for each in map(_known, to_alerts(payloads)) if each is not None]


def _follow(
    event: AlertEvent, read: _AlertRead, known: dict[UUID, KnownAlert], resolved: set[UUID]
) -> None:
    """Note what an event says of its alert, also when it cannot be rendered."""
    alert = _known(event.alert, read)
    if alert is None:
        return
    over = event.type == ALERT_EVENT_TYPE_RESOLVED or event.alert.status == ALERT_STATUS_RESOLVED
    if over:
        known.pop(alert.alert_id, None)
        resolved.add(alert.alert_id)
    else:
        resolved.discard(alert.alert_id)
        known[alert.alert_id] = alert


def _known(alert: Alert, read: _AlertRead | None = None) -> KnownAlert | None:
    read = read or _read(alert)
    alert_id = _uuid_or_none(alert.alert_id) if read.view is None else read.view.alert_id
    if alert_id is None:
        return None
    text = None if read.refusal else read.text
    return KnownAlert(alert_id, alert.version, alert.SerializeToString(), text)


def _read(alert: Alert) -> _AlertRead:
    try:
        view = _alert(alert)
    except UnreadableError as error:
        return _AlertRead(None, None, str(error))
    text = alert_text(view)
    try:
        if _may_hold_nul(text):
            _refuse_nul(alert_document(view))
    except UnreadableError as error:
        return _AlertRead(view, text, str(error))
    return _AlertRead(view, text)


def _quarantined(received: StreamEvent, cursor: Cursor, reason: str) -> InboxEvent:
    event = received.event
    payload = event.SerializeToString(deterministic=True)
    return InboxEvent(
        # Without an id of its own it gets one that is the same at each reading.
        event_id=_uuid_or_none(event.event_id)
        or uuid5(_NAMESPACE, f"{cursor.epoch}/{event.position.revision}/{payload.hex()}"),
        epoch=_uuid_or_none(event.position.epoch) or cursor.epoch,
        revision=event.position.revision,
        synthetic=received.synthetic,
        type=event.type if event.type in _SMALLINT else 0,
        alert_id=_uuid_or_none(event.alert.alert_id),
        document=None,
        quarantine_reason=reason.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:_LONGEST_REASON],
        quarantined_payload=payload,
    )


def _notification(event: AlertEvent, alert: _AlertRead, *, synthetic: bool) -> Notification:
    if not event.HasField("alert"):
        raise UnreadableError("alert: is missing")
    if alert.view is None:
        raise UnreadableError(alert.refusal)
    return Notification(
        event_id=_uuid(event.event_id, "event_id"),
        type=_enum(EventType, event.type, "type"),
        epoch=_uuid(event.position.epoch, "position.epoch"),
        revision=event.position.revision,
        alert=alert.view,
        actor=event.actor,
        on_behalf_of=event.on_behalf_of,
        note=event.note,
        occur_time=_time(event, "occur_time"),
        record_time=_time(event, "record_time"),
        traceparent=event.traceparent,
        synthetic=synthetic,
    )


def _alert(alert: Alert) -> AlertView:
    previous, reason = alert.previous_alert_id, alert.resolve_reason
    root = alert.suppressed_by
    return AlertView(
        alert_id=_uuid(alert.alert_id, "alert.alert_id"),
        host_id=alert.host_id,
        host_name=alert.host_name,
        kind=alert.kind,
        dedup_key=alert.dedup_key,
        severity=_enum(Severity, alert.severity, "alert.severity"),
        status=_enum(AlertStatus, alert.status, "alert.status"),
        message=alert.message,
        cause=alert.cause,
        labels=dict(alert.labels),
        occurrences=alert.occurrences,
        raise_time=_time(alert, "raise_time"),
        last_seen_time=_time(alert, "last_seen_time"),
        acknowledge_time=_time_or_none(alert, "acknowledge_time"),
        acknowledged_by=alert.acknowledged_by,
        acknowledge_note=alert.acknowledge_note,
        acknowledge_expire_time=_time_or_none(alert, "acknowledge_expire_time"),
        resolve_time=_time_or_none(alert, "resolve_time"),
        resolved_by=alert.resolved_by,
        resolve_reason=_enum(ResolveReason, reason, "alert.resolve_reason") if reason else None,
        version=alert.version,
        previous_alert_id=_uuid(previous, "alert.previous_alert_id") if previous else None,
        suppressed_by=_uuid(root, "alert.suppressed_by") if root else None,
        host_labels=dict(alert.host_labels),
        source_group_id=alert.source_group_id,
        repository_id=alert.repository_id,
        schedule_id=alert.schedule_id,
    )


def _enum(kind: type[E], number: int, path: str) -> E:
    try:
        return kind(number)
    except ValueError:
        raise UnreadableError(f"{path}: {number} is not a value that is known here") from None


def _uuid(text: str, path: str) -> UUID:
    found = _uuid_or_none(text)
    if found is None:
        raise UnreadableError(f"{path}: is not a UUID")
    return found


def _uuid_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _time(message: Alert | AlertEvent, name: str) -> datetime:
    found = _time_or_none(message, name)
    if found is None:
        raise UnreadableError(f"{name}: is missing")
    return found


def _time_or_none(message: Alert | AlertEvent, name: str) -> datetime | None:
    if not message.HasField(name):  # type: ignore[arg-type]  # a literal of each message
        return None
    timestamp: Timestamp = getattr(message, name)
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UnreadableError(f"{name}: is not in the years 1 to 9999") from None


def _may_hold_nul(text: str) -> bool:
    """Whether a document may hold a NUL character: JSON writes it in one way."""
    return "\\u0000" in text


def _refuse_nul(value: object, path: str = "") -> None:
    """Refuse what PostgreSQL cannot keep in a document."""
    if isinstance(value, str) and "\x00" in value:
        raise UnreadableError(f"{path}: holds a NUL character")
    if isinstance(value, dict):
        for name, each in value.items():
            _refuse_nul(name, path)
            _refuse_nul(each, f"{path}.{name}".lstrip("."))
