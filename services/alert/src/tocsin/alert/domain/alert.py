"""The alert and its states, as plain values. The numbers are those of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.key import Key


class Severity(IntEnum):
    """How bad: a higher number is worse."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Status(IntEnum):
    """Where an alert stands in its life."""

    OPEN = 1
    ACKNOWLEDGED = 2
    RESOLVED = 3


class ResolveReason(IntEnum):
    """What resolved it."""

    AUTO = 1
    MANUAL = 2
    RETIRED = 3


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who has taken an alert on, and until when."""

    time: datetime
    actor: str
    note: str
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an alert ended."""

    time: datetime
    actor: str
    reason: ResolveReason


@dataclass(frozen=True, slots=True)
class Subject:
    """What of a host an alert is about, as far as it is known; empty where it is not."""

    source_group_id: str = ""
    repository_id: str = ""
    schedule_id: str = ""


NOTHING_NAMED = Subject()
NO_LABELS: Mapping[str, str] = {}


class Alert(NamedTuple):
    """One thing that is or was wrong. See the comments of `alert.proto` for each field.

    A tuple, because every touch makes one: a frozen dataclass of as many fields takes five times
    as long to make, and ten times as long to copy.
    """

    alert_id: UUID
    key: Key
    host_name: str
    severity: Severity
    message: str
    cause: str
    occurrences: int
    raise_time: datetime
    last_seen_time: datetime
    version: int
    labels: Mapping[str, str] = NO_LABELS
    acknowledgement: Acknowledgement | None = None
    resolution: Resolution | None = None
    previous_alert_id: UUID | None = None
    host_labels: Mapping[str, str] = NO_LABELS
    subject: Subject = NOTHING_NAMED
    suppressed_by: UUID | None = None
    objective_multiple: int = 0

    @property
    def status(self) -> Status:
        if self.resolution is not None:
            return Status.RESOLVED
        return Status.OPEN if self.acknowledgement is None else Status.ACKNOWLEDGED

    def seen_again(self, host_name: str, message: str, last_seen_time: datetime) -> Alert:
        """Return this alert after one more observation of it: a third of what _replace takes."""
        return Alert._make(
            (
                self.alert_id,
                self.key,
                host_name,
                self.severity,
                message,
                self.cause,
                self.occurrences + 1,
                self.raise_time,
                last_seen_time,
                self.version + 1,
                *self[_AFTER_VERSION:],
            )
        )


_AFTER_VERSION = Alert._fields.index("version") + 1
