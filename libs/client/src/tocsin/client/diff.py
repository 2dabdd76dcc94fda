"""What must have happened between the alerts that were known and a snapshot. Pure decisions.

The answer is told as synthetic events, in the order in which the alert service itself would have
told them: an acknowledgement is broken before the severity or the cause changes, and a new one is
made after; that an alert no longer follows from another is told last. The last event of an alert
bears it exactly as the snapshot has it.

After a restore an alert may have gone back: what is compared is its state, not its version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid5

from tocsin.api.alert.v1.alert_pb2 import (
    ALERT_STATUS_ACKNOWLEDGED,
    ALERT_STATUS_OPEN,
    ALERT_STATUS_RESOLVED,
    Alert,
)
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_ACKNOWLEDGED,
    ALERT_EVENT_TYPE_CAUSE_CHANGED,
    ALERT_EVENT_TYPE_RAISED,
    ALERT_EVENT_TYPE_RESOLVED,
    ALERT_EVENT_TYPE_SEVERITY_CHANGED,
    ALERT_EVENT_TYPE_UNACKNOWLEDGED,
    ALERT_EVENT_TYPE_UNSUPPRESSED,
    AlertEvent,
    AlertEventType,
    Position,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from google.protobuf.timestamp_pb2 import Timestamp

ACTOR = "tocsin-client"
FOUND = "Found by comparing with a snapshot: the events in between are no longer in the log."
VANISHED = (
    "The alert service no longer knows this alert, as after a restore from a backup: "
    "it is taken as resolved, and what resolved it is not known."
)
_NAMESPACE = UUID("6f9c1f0e-5d0b-5c57-9a53-0d4a5f3f2a7e")


class _Step(NamedTuple):
    """One change of one alert: what, how the alert was after it, and when it was in the world."""

    type: AlertEventType.ValueType
    alert: Alert
    occur_time: Timestamp
    note: str = FOUND


def apply_event(known: MutableMapping[str, Alert], event: AlertEvent) -> None:
    """Bring the alerts that are known not to be resolved up to date with an event."""
    if event.type == ALERT_EVENT_TYPE_RESOLVED:
        known.pop(event.alert.alert_id, None)
    else:
        known[event.alert.alert_id] = event.alert


def synthetic_events(
    known: Mapping[str, Alert],
    snapshot: Mapping[str, Alert],
    gone: Mapping[str, Alert | None],
    position: Position,
    now: Timestamp,
) -> Iterator[AlertEvent]:
    """Yield the events that lead from `known` to `snapshot`, both by alert_id and not resolved.

    `gone` has an entry for each alert that is in `known` only: its present state, or None when the
    alert service does not know it. Ends come first, so that a key is free before another alert is
    raised under it; alerts follow each other in the order of their ids, which is that of raising.
    `now` stands where the true time is not known. Events of the same step have the same id however
    often the comparison is made.
    """
    for alert_id in sorted(known.keys() - snapshot.keys()):
        for step in _end(known[alert_id], gone[alert_id], now):
            yield _event(step, position, now)
    for alert_id, alert in sorted(snapshot.items()):
        before = known.get(alert_id)
        for step in _begin(alert) if before is None else _change(before, alert, now):
            yield _event(step, position, now)


def _end(before: Alert, final: Alert | None, now: Timestamp) -> Iterator[_Step]:
    if final is None:
        yield _Step(ALERT_EVENT_TYPE_RESOLVED, _vanished(before, now), now, VANISHED)
    elif final.status == ALERT_STATUS_RESOLVED:
        yield _Step(ALERT_EVENT_TYPE_RESOLVED, final, final.resolve_time)
    else:  # it no longer passes the filters, or was raised after the snapshot
        yield from _change(before, final, now)


def _begin(alert: Alert) -> Iterator[_Step]:
    if alert.status == ALERT_STATUS_ACKNOWLEDGED:
        yield _Step(ALERT_EVENT_TYPE_RAISED, _opened(alert), alert.raise_time)
        yield _Step(ALERT_EVENT_TYPE_ACKNOWLEDGED, alert, alert.acknowledge_time)
    else:
        yield _Step(ALERT_EVENT_TYPE_RAISED, alert, alert.raise_time)


def _change(before: Alert, after: Alert, now: Timestamp) -> Iterator[_Step]:
    if before.suppressed_by and not after.suppressed_by:
        still = _with(after, suppressed_by=before.suppressed_by)
        yield from _change_of_state(before, still, now)
        yield _Step(ALERT_EVENT_TYPE_UNSUPPRESSED, after, now)
    else:
        yield from _change_of_state(before, after, now)


def _change_of_state(before: Alert, after: Alert, now: Timestamp) -> Iterator[_Step]:
    worse = (before.severity, before.cause) != (after.severity, after.cause)
    kept = _acknowledgement(before) == _acknowledgement(after)
    at = after if kept else _opened(after)
    if not kept and before.status == ALERT_STATUS_ACKNOWLEDGED:
        when = after.last_seen_time if worse else _expiry(before, now)
        still = _with(at, severity=before.severity, cause=before.cause)
        yield _Step(ALERT_EVENT_TYPE_UNACKNOWLEDGED, still, when)
    if before.severity != after.severity:
        still = _with(at, cause=before.cause)
        yield _Step(ALERT_EVENT_TYPE_SEVERITY_CHANGED, still, after.last_seen_time)
    if before.cause != after.cause:
        yield _Step(ALERT_EVENT_TYPE_CAUSE_CHANGED, at, after.last_seen_time)
    if not kept and after.status == ALERT_STATUS_ACKNOWLEDGED:
        yield _Step(ALERT_EVENT_TYPE_ACKNOWLEDGED, after, after.acknowledge_time)


def _expiry(before: Alert, now: Timestamp) -> Timestamp:
    expiry = before.acknowledge_expire_time
    passed = expiry.ToNanoseconds() <= now.ToNanoseconds()
    return expiry if before.HasField("acknowledge_expire_time") and passed else now


def _acknowledgement(alert: Alert) -> tuple[object, ...] | None:
    if alert.status != ALERT_STATUS_ACKNOWLEDGED:
        return None
    return (
        alert.acknowledge_time.ToNanoseconds(),
        alert.acknowledged_by,
        alert.acknowledge_note,
        alert.acknowledge_expire_time.ToNanoseconds(),
    )


def _opened(alert: Alert) -> Alert:
    copy = _with(alert, status=ALERT_STATUS_OPEN)
    copy.ClearField("acknowledge_time")
    copy.ClearField("acknowledged_by")
    copy.ClearField("acknowledge_note")
    copy.ClearField("acknowledge_expire_time")
    return copy


def _vanished(alert: Alert, now: Timestamp) -> Alert:
    copy = _with(alert, status=ALERT_STATUS_RESOLVED, resolved_by=ACTOR, version=alert.version + 1)
    copy.resolve_time.CopyFrom(now)
    return copy


def _with(alert: Alert, **scalars: str | int) -> Alert:
    copy = Alert()
    copy.CopyFrom(alert)
    for name, value in scalars.items():
        setattr(copy, name, value)
    return copy


def _event(step: _Step, position: Position, now: Timestamp) -> AlertEvent:
    alert = step.alert
    name = f"{position.epoch}/{alert.alert_id}/{alert.version}/{step.type}"
    return AlertEvent(
        position=position,
        event_id=str(uuid5(_NAMESPACE, name)),
        type=step.type,
        alert=alert,
        actor=ACTOR,
        note=step.note,
        occur_time=step.occur_time,
        record_time=now,
    )
