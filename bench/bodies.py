"""What is sent: requests of the size that a backup orchestrator sends, ready for the wire."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tocsin.api.alert.v1.alert_pb2 import SEVERITY_UNSPECIFIED
from tocsin.api.alert.v1.alert_service_pb2 import (
    AutoResolveRequest,
    BatchRaiseOrTouchRequest,
    RaiseOrTouchRequest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.api.alert.v1.alert_pb2 import Severity

ECHO = "/bench.Echo/Call"
ECHOES = "/bench.Echo/Watch"
RAISE = "/tocsin.api.alert.v1.AlertService/RaiseOrTouch"
BATCH = "/tocsin.api.alert.v1.AlertService/BatchRaiseOrTouch"
CLEAR = "/tocsin.api.alert.v1.AlertService/AutoResolve"
CHANNELS = "/tocsin.api.notify.v1.ChannelService/ListChannels"
LIST = "/tocsin.api.alert.v1.AlertService/ListAlerts"
WATCH = "/tocsin.api.alert.v1.AlertService/WatchEvents"

KIND = "backup_failed"
_MESSAGE = "Fatal: unable to open repository at sftp:backup@vault:/srv/restic: connection refused"


def failure(
    prefix: str,
    number: int,
    message: str = _MESSAGE,
    severity: Severity.ValueType = SEVERITY_UNSPECIFIED,
) -> RaiseOrTouchRequest:
    """Return a report of a failure. Prefix and number together are its key; 50 keys a host."""
    return RaiseOrTouchRequest(
        host_id=f"{prefix}-{number // 50:05}",
        kind=KIND,
        dedup_key=f"group-{number:07}",
        severity=severity,
        message=message,
        cause="repository_unreachable",
        labels={"repository": "nightly", "site": "home"},
    )


def raise_body(prefix: str, number: int) -> bytes:
    """Return a serialised RaiseOrTouchRequest."""
    return failure(prefix, number).SerializeToString()


def clear_body(prefix: str, number: int) -> bytes:
    """Return a serialised AutoResolveRequest for the same key."""
    given = failure(prefix, number)
    return AutoResolveRequest(
        host_id=given.host_id, kind=given.kind, dedup_key=given.dedup_key
    ).SerializeToString()


def batch_body(
    prefix: str,
    numbers: Iterable[int],
    severity: Severity.ValueType = SEVERITY_UNSPECIFIED,
) -> bytes:
    """Return a serialised BatchRaiseOrTouchRequest."""
    requests = [failure(prefix, number, severity=severity) for number in numbers]
    return BatchRaiseOrTouchRequest(requests=requests).SerializeToString()


def framed(message: bytes) -> bytes:
    """Return a message as gRPC sends it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message
