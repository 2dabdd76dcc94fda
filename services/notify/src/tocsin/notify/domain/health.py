"""Whether a channel works, and how much it takes: breaker and bucket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.decision import DecisionReason


class BreakerState(IntEnum):
    """The numbers are those of the contract."""

    CLOSED = 1
    OPEN = 2
    HALF_OPEN = 3


@dataclass(frozen=True, slots=True)
class Breaker:
    """After several failures in a row nothing is tried until `probe_time`.

    `failing_since` is when the first failure of the row came, None while there is none.
    """

    state: BreakerState = BreakerState.CLOSED
    failure_count: int = 0
    since_time: datetime | None = None
    probe_time: datetime | None = None
    failing_since: datetime | None = None
    last_error: str = ""
    last_error_time: datetime | None = None
    last_success_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many tokens there were at `as_of`; they come back with time. None: it is full."""

    tokens: float = 0.0
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """What ListChannelHealth answers of one channel."""

    channel_id: UUID
    channel_display_name: str
    breaker: Breaker
    pending_count: int
    held_count: int
    oldest_pending_time: datetime | None
    dead: tuple[tuple[DecisionReason, int], ...]
