"""The decision: why something is told to a channel, or not, or not yet. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.notice import MessageType


class DecisionReason(IntEnum):
    """Why it was decided so. The numbers and their meaning are those of the contract."""

    UNSPECIFIED = 0
    ROUTED = 1
    DEFAULT_ROUTE = 2
    FOLLOWS = 3
    NO_ROUTE = 4
    CHANNEL_OFF = 5
    OWN_FAILURE = 6
    GROUP_WAIT = 10
    QUIET_HOURS = 11
    SILENCED = 12
    EXPLAINED = 13
    RATE_LIMITED = 14
    FLAPPING = 15
    BREAKER_OPEN = 16
    CARRIED = 17
    BEHIND = 18
    CATCHING_UP = 19
    COLLAPSED = 30
    NEVER_TOLD = 31
    ALREADY_OVER = 32
    TOO_LATE = 33
    REFUSED = 34
    ATTEMPTS_EXHAUSTED = 35
    CHANNEL_GONE = 36
    CHANNEL_DELETED = 37
    ATTEMPTED = 50
    DELIVERED = 51


@dataclass(frozen=True, slots=True)
class Send:
    """Tell it now, as this: what a channel hears first of an alert is told as RAISED."""

    told_as: MessageType


@dataclass(frozen=True, slots=True)
class Hold:
    """Look at it again at `until`, or earlier when something wakes it. Every hold has an end.

    `by` is the silence, or the alert that explains it.
    """

    reason: DecisionReason
    until: datetime
    by: UUID | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Do not tell it: it ends as SUPPRESSED, or EXPIRED when it is TOO_LATE."""

    reason: DecisionReason


Outcome = Send | Hold | End


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """A decision as a row: holds, and events that were addressed to nobody.

    All others are read from the deliveries and their attempts. `until` only with a hold.
    """

    time: datetime
    event_id: UUID
    alert_id: UUID
    channel_id: UUID | None
    delivery_id: UUID | None
    reason: DecisionReason
    by: UUID | None = None
    until: datetime | None = None
