"""What each error is on the wire: one table of codes, with the details of google.rpc.

The details travel in trailing metadata, which fails at random above 8 KiB. So all of them
together stay under 4 KiB, whatever a request held: texts are cut and violations counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tocsin.common.errors import (
    AbortedError,
    AlreadyExistsError,
    DataLossError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    TocsinError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from google.protobuf.message import Message

DOMAIN = "tocsin"
DETAILS_KEY = "grpc-status-details-bin"
DETAILS_BYTES = 4096

# A message is sent twice: in the details, and percent-encoded (up to three times as long) in
# grpc-message.
_MESSAGE_BYTES = 600
_FIELD_BYTES = 160
_DESCRIPTION_BYTES = 400
_VIOLATIONS_BYTES = 2400
_FRAME_BYTES = 12  # tags and lengths around one violation
_METADATA_BYTES = 256

_CODES: dict[type[TocsinError], grpc.StatusCode] = {
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    AbortedError: grpc.StatusCode.ABORTED,
    OutOfRangeError: grpc.StatusCode.OUT_OF_RANGE,
    ResourceExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    DataLossError: grpc.StatusCode.DATA_LOSS,
    TocsinError: grpc.StatusCode.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class WireStatus:
    """How a call ends: what `context.abort` takes."""

    code: grpc.StatusCode
    message: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def code_of(error: TocsinError) -> grpc.StatusCode:
    """Return the gRPC code of an error."""
    return next(_CODES[cls] for cls in type(error).__mro__ if cls in _CODES)


def status_of(error: TocsinError) -> WireStatus:
    """Return how a call that met this error ends."""
    code = code_of(error)
    message = cut(error.message, _MESSAGE_BYTES)
    status = Status(code=code.value[0], message=message, details=_details(error))
    return WireStatus(code, message, ((DETAILS_KEY, status.SerializeToString()),))


def internal(error_id: UUID) -> TocsinError:
    """Return the error that stands for a bug: it tells an id to look for in the log, no more."""
    return TocsinError(
        f"Something went wrong inside the server. Its log has the rest under error_id {error_id}.",
        reason="INTERNAL",
        metadata={"error_id": str(error_id)},
    )


def cut(text: str, most: int) -> str:
    """Cut a text at a character boundary so that it takes at most so many bytes of UTF-8."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most:
        return encoded.decode()
    return encoded[: most - len("…".encode())].decode("utf-8", "ignore") + "…"


def _details(error: TocsinError) -> list[AnyMessage]:
    details: list[Message] = [
        ErrorInfo(
            reason=error.reason,
            domain=DOMAIN,
            metadata={key: cut(value, _METADATA_BYTES) for key, value in error.metadata.items()},
        )
    ]
    if violations := told_violations(error):
        details.append(_bad_request(violations))
    if isinstance(error, UnavailableError | ResourceExhaustedError) and error.retry_after:
        delay = Duration()
        delay.FromTimedelta(error.retry_after)
        details.append(RetryInfo(retry_delay=delay))
    return [_packed(detail) for detail in details]


def told_violations(error: TocsinError) -> list[FieldViolation]:
    """Return the violations of an error as a caller is told them, if it has any.

    As many as there is room for, cut to bounds, and how many more there are.
    """
    violations = error.violations if isinstance(error, InvalidArgumentError) else ()
    told: list[FieldViolation] = []
    room = _VIOLATIONS_BYTES
    for violation in violations:
        short = FieldViolation(
            cut(violation.field, _FIELD_BYTES), cut(violation.description, _DESCRIPTION_BYTES)
        )
        room -= len(short.field.encode()) + len(short.description.encode()) + _FRAME_BYTES
        if room < 0:
            left = len(violations) - len(told)
            return [*told, FieldViolation("…", f"and {left} more like these")]
        told.append(short)
    return told


def _bad_request(violations: Sequence[FieldViolation]) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field=told.field, description=told.description)
            for told in violations
        ]
    )


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
