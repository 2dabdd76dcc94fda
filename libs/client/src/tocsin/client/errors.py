"""What a call can fail with: one class per gRPC status code, with the details that came along."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from google.protobuf.any_pb2 import Any

_M = TypeVar("_M", bound=Message)


class FieldViolation(NamedTuple):
    """One field of the request that is wrong: its path, and what to write instead."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What the server told beside the status: empty where it told nothing."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    field_violations: tuple[FieldViolation, ...] = ()
    retry_delay: timedelta | None = None


class CallError(Exception):
    """A call that was refused, or that failed on the way.

    `str()` of it is fit for an operator: what was wrong, in which field, and what to write
    instead. Programs look at the class (one per status code), at `reason` and at `metadata`.

    Example:
        >>> try:
        ...     client.acknowledge(alert_id, note="on it")
        ... except FailedPreconditionError as error:
        ...     if error.reason != "ALERT_RESOLVED":
        ...         raise
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, details: ErrorDetails | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or ErrorDetails()

    @property
    def reason(self) -> str:
        """The `ErrorInfo.reason`, a value of ErrorReason without its prefix; '' without one."""
        return self.details.reason

    @property
    def metadata(self) -> Mapping[str, str]:
        """The `ErrorInfo.metadata`, such as `oldest_revision`."""
        return self.details.metadata

    @property
    def field_violations(self) -> tuple[FieldViolation, ...]:
        """The fields that are wrong, with InvalidArgumentError."""
        return self.details.field_violations

    @property
    def retry_delay(self) -> timedelta | None:
        """How long the server asked to wait before another try. None when it did not ask."""
        return self.details.retry_delay

    @property
    def error_id(self) -> str:
        """What finds an InternalError in the server's log. Empty for other errors."""
        return self.details.metadata.get("error_id", "")

    def __str__(self) -> str:
        told = [self.message or "The server gave no reason."]
        told += [
            f"  {violation.field}: {violation.description}"
            for violation in self.field_violations
            if violation.description not in self.message
        ]
        marks = [self.code.name] + [mark for mark in (self.reason, self.error_id) if mark]
        told[0] += f" ({', '.join(marks)})"
        return "\n".join(told)


class CallCancelledError(CallError):
    """CANCELLED: the call was ended from the other side."""

    code = grpc.StatusCode.CANCELLED


class UnknownError(CallError):
    """UNKNOWN: a server or a proxy failed without saying how."""


class InvalidArgumentError(CallError):
    """INVALID_ARGUMENT: the request can never succeed as it is; see `field_violations`."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class DeadlineExceededError(CallError):
    """DEADLINE_EXCEEDED: no answer in time. Whether the change was made is not known."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class NotFoundError(CallError):
    """NOT_FOUND: what the request names does not exist."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(CallError):
    """ALREADY_EXISTS: something else has the name that the request wants."""

    code = grpc.StatusCode.ALREADY_EXISTS


class PermissionDeniedError(CallError):
    """PERMISSION_DENIED: the caller may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhaustedError(CallError):
    """RESOURCE_EXHAUSTED: no room, or more work than the server takes on."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class FailedPreconditionError(CallError):
    """FAILED_PRECONDITION: the request does not fit the state that things are in."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class AbortedError(CallError):
    """ABORTED: something changed since the caller read it."""

    code = grpc.StatusCode.ABORTED


class OutOfRangeError(CallError):
    """OUT_OF_RANGE: a position that the event log does not hold."""

    code = grpc.StatusCode.OUT_OF_RANGE


class UnimplementedError(CallError):
    """UNIMPLEMENTED: the server does not know this call; it may be older than this client."""

    code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(CallError):
    """INTERNAL: a bug in the server; `error_id` finds it in the server's log."""

    code = grpc.StatusCode.INTERNAL


class UnavailableError(CallError):
    """UNAVAILABLE: nobody answers, or the server cannot work right now. It may, later."""

    code = grpc.StatusCode.UNAVAILABLE


class DataLossError(CallError):
    """DATA_LOSS: the event log, or the stream of it, was found broken."""

    code = grpc.StatusCode.DATA_LOSS


class UnauthenticatedError(CallError):
    """UNAUTHENTICATED: the caller did not prove who it is."""

    code = grpc.StatusCode.UNAUTHENTICATED


_CLASSES: dict[grpc.StatusCode, type[CallError]] = {
    each.code: each for each in CallError.__subclasses__()
}


def from_rpc_error(error: grpc.RpcError) -> CallError:
    """Return the typed error for one of grpc's, synchronous or asyncio.

    Details that cannot be read are left out: an error is never lost over its details.
    """
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return UnknownError(str(error))
    return of_code(error.code(), error.details() or "", _details_of(error))


def told(error: CallError, **more: float) -> dict[str, object]:
    """Return what a log keeps of an error, as fields for `extra`."""
    metadata = dict(error.metadata)
    return {
        "code": error.code.name,
        "reason": error.reason,
        "error": error.message,
        **({"metadata": metadata} if metadata else {}),
        **more,
    }


def of_code(code: grpc.StatusCode, message: str, details: ErrorDetails | None = None) -> CallError:
    """Return the typed error of a status code."""
    return _CLASSES.get(code, UnknownError)(message, details)


def _details_of(call: grpc.Call | grpc.aio.AioRpcError) -> ErrorDetails:
    try:
        status = rpc_status.from_call(call)
        return _read_details(status.details) if status is not None else ErrorDetails()
    except (ValueError, DecodeError):
        return ErrorDetails()


def _read_details(packed: Iterable[Any]) -> ErrorDetails:
    reason, metadata, violations, delay = "", dict[str, str](), list[FieldViolation](), None
    for each in packed:
        if (info := _unpacked(each, error_details_pb2.ErrorInfo())) is not None:
            reason, metadata = info.reason, dict(info.metadata)
        elif (bad := _unpacked(each, error_details_pb2.BadRequest())) is not None:
            violations += [FieldViolation(v.field, v.description) for v in bad.field_violations]
        elif (retry := _unpacked(each, error_details_pb2.RetryInfo())) is not None:
            delay = retry.retry_delay.ToTimedelta()
    return ErrorDetails(reason, metadata, tuple(violations), delay)


def _unpacked(packed: Any, into: _M) -> _M | None:
    return into if packed.Unpack(into) else None
