"""What a call was refused with, read as a client reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable


@dataclass(frozen=True)
class Refusal:
    """A failed call. `violations` are descriptions by field; `retry_after` is in seconds."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None


async def refusal_of(call: Awaitable[Any]) -> Refusal:
    """Wait for a call that fails, and return what it said. Fails when it succeeds."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_refusal(caught.value)


def read_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Return what a failed call said."""
    trailing = dict(error.trailing_metadata() or ())
    told = Status.FromString(trailing.get("grpc-status-details-bin", b""))
    information, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in told.details:
        for kind in (information, bad, retry):
            detail.Unpack(kind)
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        reason=information.reason,
        domain=information.domain,
        metadata=dict(information.metadata),
        violations={v.field: v.description for v in bad.field_violations},
        retry_after=(
            retry.retry_delay.ToTimedelta().total_seconds()
            if retry.HasField("retry_delay")
            else None
        ),
    )


def assert_told(expected: dict[str, str], refusal: Refusal) -> None:
    """Check that every wrong field is named with the words expected, and no other field is."""
    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "tocsin") == (
        refusal.code,
        refusal.reason,
        refusal.domain,
    )
    assert set(expected) == set(refusal.violations)
    for path, words in expected.items():
        assert words in refusal.violations[path], refusal.violations[path]
        assert path in refusal.message
