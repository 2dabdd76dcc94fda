"""The notification: one alert event, as plain values that every channel can render."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID


class EventType(IntEnum):
    """What happened to the alert. The numbers are those of the alert contract.

    REMINDER is notify's own: nothing happened, it is still wrong. See `notice` for its others.
    """

    RAISED = 1
    SEVERITY_CHANGED = 2
    CAUSE_CHANGED = 3
    ACKNOWLEDGED = 4
    UNACKNOWLEDGED = 5
    RESOLVED = 6
    UNSUPPRESSED = 7
    REMINDER = 101

    @property
    def dotted(self) -> str:
        """The CloudEvents type, such as `alert.raised`."""
        return f"alert.{self.name.lower()}"


class Severity(IntEnum):
    """How bad: a higher number is worse."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class AlertStatus(IntEnum):
    """Where the alert stood after the event."""

    OPEN = 1
    ACKNOWLEDGED = 2
    RESOLVED = 3


class ResolveReason(IntEnum):
    """What resolved it."""

    AUTO = 1
    MANUAL = 2
    RETIRED = 3


@dataclass(frozen=True, slots=True)
class AlertView:
    """The whole alert as it was after the event. Texts are empty and times None when unset."""

    alert_id: UUID
    host_id: str
    host_name: str
    kind: str
    dedup_key: str
    severity: Severity
    status: AlertStatus
    message: str
    cause: str
    labels: Mapping[str, str]
    occurrences: int
    raise_time: datetime
    last_seen_time: datetime
    acknowledge_time: datetime | None
    acknowledged_by: str
    acknowledge_note: str
    acknowledge_expire_time: datetime | None
    resolve_time: datetime | None
    resolved_by: str
    resolve_reason: ResolveReason | None
    version: int
    previous_alert_id: UUID | None
    # Documents that were kept before these were known have none of them.
    suppressed_by: UUID | None = None
    host_labels: Mapping[str, str] = field(default_factory=dict)
    source_group_id: str = ""
    repository_id: str = ""
    schedule_id: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """One event to tell.

    `event_id` is the id under which every channel tells it at every attempt. `synthetic` marks
    one that was made by comparing with a snapshot instead of being read from the log; `is_test`
    one that tells of no alert: a person tries a channel. `collapsed_count` is for how many earlier
    events of the alert it stands too, `explained_count` how many other alerts it explains that are
    not told by themselves; neither is kept: both are filled in when it is sent.
    """

    event_id: UUID
    type: EventType
    epoch: UUID
    revision: int
    alert: AlertView
    actor: str
    on_behalf_of: str
    note: str
    occur_time: datetime
    record_time: datetime
    traceparent: str
    synthetic: bool = False
    is_test: bool = False
    collapsed_count: int = 0
    explained_count: int = 0

    @property
    def event_type(self) -> str:
        """The CloudEvents type: `alert.raised`, `alert.resolved`, …, or `channel.test`."""
        return "channel.test" if self.is_test else self.type.dotted
