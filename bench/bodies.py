"""What is sent: requests of the size that a backup orchestrator sends, ready for the wire."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tocsin.api.alert.v1.alert_service_pb2 import (
    AutoResolveRequest,
    BatchRaiseOrTouchRequest,
    RaiseOrTouchRequest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ECHO = "/bench.Echo/Call"
RAISE = "/tocsin.api.alert.v1.AlertService/RaiseOrTouch"
BATCH = "/tocsin.api.alert.v1.AlertService/BatchRaiseOrTouch"
CLEAR = "/tocsin.api.alert.v1.AlertService/AutoResolve"

KIND = "backup_failed"
_MESSAGE = "Fatal: unable to open repository at sftp:backup@vault:/srv/restic: connection refused"


def failure(prefix: str, number: int, message: str = _MESSAGE) -> RaiseOrTouchRequest:
    """Return a report of a failure. Prefix and number together are its key; 50 keys a host."""
    return RaiseOrTouchRequest(
        host_id=f"{prefix}-{number // 50:05}",
        kind=KIND,
        dedup_key=f"group-{number:07}",
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


def batch_body(prefix: str, numbers: Iterable[int]) -> bytes:
    """Return a serialised BatchRaiseOrTouchRequest."""
    requests = [failure(prefix, number) for number in numbers]
    return BatchRaiseOrTouchRequest(requests=requests).SerializeToString()


def framed(message: bytes) -> bytes:
    """Return a message as gRPC sends it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message
