"""What a caller may be told, free of any transport: `rpc.status` gives each class its code.

Every error says which thing was wrong and what to do instead. Nothing of the inside (SQL, a
stack, a secret) goes into a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is wrong.

    `field` is its path in the request, such as `labels[disk]`; `description` says what was wrong
    and what to write instead.
    """

    field: str
    description: str


class TocsinError(Exception):
    """The root of what a caller may be told.

    `reason` is a value of the service's ErrorReason without its prefix; `metadata` goes into
    google.rpc.ErrorInfo.
    """

    def __init__(
        self, message: str, *, reason: str, metadata: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}


class InvalidArgumentError(TocsinError):
    """A request that can never succeed as it is."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "INVALID_FIELD",
        violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(message, reason=reason)
        self.violations = violations

    @classmethod
    def of(cls, violations: list[FieldViolation]) -> InvalidArgumentError:
        """Make one error of all that is wrong with a request."""
        return cls(
            "; ".join(f"{v.field}: {v.description}" for v in violations),
            violations=tuple(violations),
        )


class UnauthenticatedError(TocsinError):
    """The caller proves no identity, or one that is not known."""


class PermissionDeniedError(TocsinError):
    """The caller is known, and may not do this."""


class NotFoundError(TocsinError):
    """What the request names does not exist."""


class AlreadyExistsError(TocsinError):
    """Something else has the name that the request wants."""


class FailedPreconditionError(TocsinError):
    """The request does not fit the state that things are in."""


class AbortedError(TocsinError):
    """Something changed since the caller read it."""


class OutOfRangeError(TocsinError):
    """A position that the log does not hold."""


class ResourceExhaustedError(TocsinError):
    """No room, or more work than is taken on."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class UnavailableError(TocsinError):
    """It may work on another try, after `retry_after`."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "DATABASE_UNAVAILABLE",
        retry_after: timedelta = timedelta(seconds=1),
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class DataLossError(TocsinError):
    """The record itself was found broken."""


@dataclass(slots=True)
class Violations:
    """Collects what is wrong with a request, so that all of it is told at once."""

    found: list[FieldViolation] = field(default_factory=list)

    def add(self, path: str, description: str) -> None:
        self.found.append(FieldViolation(path, description))

    def raise_if_any(self) -> None:
        """Raise one InvalidArgumentError with all violations, if there are any."""
        if self.found:
            raise InvalidArgumentError.of(self.found)
