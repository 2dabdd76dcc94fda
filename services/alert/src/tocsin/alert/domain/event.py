"""The event: the committed record of one change, and the positions in its log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert


class EventType(IntEnum):
    """What happened to the alert. The numbers are those of the contract."""

    RAISED = 1
    SEVERITY_CHANGED = 2
    CAUSE_CHANGED = 3
    ACKNOWLEDGED = 4
    UNACKNOWLEDGED = 5
    RESOLVED = 6
    UNSUPPRESSED = 7


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the event log. Revisions compare only within one epoch."""

    epoch: UUID
    revision: int


class Event(NamedTuple):
    """One change, before the log gives it its revision.

    `alert` is the whole alert as it was after the change. `occur_time` is in the world,
    `record_time` is when it was written.
    """

    event_id: UUID
    type: EventType
    alert: Alert
    actor: str
    on_behalf_of: str
    note: str
    occur_time: datetime
    record_time: datetime
    traceparent: str
