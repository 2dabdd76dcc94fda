"""Alerts and events of the contract, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from google.protobuf.timestamp_pb2 import Timestamp

from tocsin.api.alert.v1.alert_pb2 import (
    ALERT_STATUS_ACKNOWLEDGED,
    ALERT_STATUS_OPEN,
    ALERT_STATUS_RESOLVED,
    RESOLVE_REASON_AUTO,
    SEVERITY_WARNING,
    Alert,
)
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RAISED, AlertEvent, Position

EPOCH = "0194b7a0-0000-7000-8000-00000000e000"
OTHER_EPOCH = "0194b7a0-0000-7000-8000-00000000e001"
_IDS = UUID("0194b7a0-0000-7000-8000-000000000000")


def at(seconds: int) -> Timestamp:
    """A time, counted from the beginning of 2026."""
    return Timestamp(seconds=1_767_225_600 + seconds)


def alert_id(number: int) -> str:
    """The id of the alert of this number: they sort by it."""
    return str(UUID(int=_IDS.int + number))


def an_alert(number: int = 1, **fields: Any) -> Alert:
    """An open alert."""
    given = {
        "alert_id": alert_id(number),
        "host_id": "web-1",
        "host_name": "web-1",
        "kind": "backup_failed",
        "dedup_key": f"group-{number}",
        "severity": SEVERITY_WARNING,
        "status": ALERT_STATUS_OPEN,
        "message": "exit code 1",
        "occurrences": 1,
        "raise_time": at(number),
        "last_seen_time": at(number),
        "version": 1,
    }
    return Alert(**{**given, **fields})


def acknowledged(number: int = 1, *, when: int = 100, by: str = "ann", **fields: Any) -> Alert:
    """An acknowledged alert."""
    given = {
        "status": ALERT_STATUS_ACKNOWLEDGED,
        "acknowledge_time": at(when),
        "acknowledged_by": by,
        "acknowledge_expire_time": at(when + 86_400),
        "version": 2,
    }
    return an_alert(number, **{**given, **fields})


def resolved(number: int = 1, *, when: int = 200, **fields: Any) -> Alert:
    """A resolved alert."""
    given = {
        "status": ALERT_STATUS_RESOLVED,
        "resolve_time": at(when),
        "resolved_by": "anonymous",
        "resolve_reason": RESOLVE_REASON_AUTO,
        "version": 3,
    }
    return an_alert(number, **{**given, **fields})


def an_event(
    revision: int,
    alert: Alert | None = None,
    type: int = ALERT_EVENT_TYPE_RAISED,  # noqa: A002 (the contract's name)
    epoch: str = EPOCH,
) -> AlertEvent:
    """The event at this place in the log."""
    return AlertEvent(
        position=Position(epoch=epoch, revision=revision),
        event_id=str(uuid5(_IDS, f"{epoch}/{revision}")),
        type=type,  # type: ignore[arg-type]  # a plain number, for brevity
        alert=alert or an_alert(revision),
        actor="anonymous",
        occur_time=at(revision),
        record_time=at(revision),
    )
