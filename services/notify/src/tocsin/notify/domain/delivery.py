"""The delivery and its attempts, as plain values. The numbers are those of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from tocsin.notify.domain.decision import DecisionReason

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from tocsin.notify.domain.notice import MessageType


class DeliveryState(IntEnum):
    """Where a delivery stands. All but PENDING, SENDING and HELD are final."""

    PENDING = 1
    SENDING = 2
    DELIVERED = 3
    SUPPRESSED = 4
    DEAD = 5
    HELD = 6
    SUPERSEDED = 7
    EXPIRED = 8


class AttemptOutcome(IntEnum):
    """How an attempt ended."""

    DELIVERED = 1
    RETRY = 2
    REFUSED = 3
    AMBIGUOUS = 4


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one attempt met.

    `status_code` is the far side's (HTTP or SMTP), 0 when it gave none. `detail` is for people, at
    most 1,024 characters, never a secret. `retry_after` is what the far side asked for.
    `disable_channel` says that it asked never to be called again (HTTP 410).
    """

    outcome: AttemptOutcome
    status_code: int = 0
    detail: str = ""
    retry_after: timedelta | None = None
    disable_channel: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a delivery, as recorded. `outcome` is None while it runs."""

    number: int
    start_time: datetime
    finish_time: datetime | None
    outcome: AttemptOutcome | None
    status_code: int
    detail: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one channel."""

    delivery_id: UUID
    channel_id: UUID
    channel_display_name: str
    event_id: UUID
    event_type: MessageType
    epoch: UUID
    revision: int
    synthetic: bool
    alert_id: UUID
    host_id: str
    kind: str
    dedup_key: str
    state: DeliveryState
    state_reason: str
    attempt_count: int
    next_attempt_time: datetime | None
    create_time: datetime
    settle_time: datetime | None
    reason: DecisionReason = DecisionReason.UNSPECIFIED
    route_id: UUID | None = None
    # What `reason` speaks of: a silence, the alert that explains it, the delivery that tells it.
    held_by: UUID | None = None
    told_as: MessageType | None = None
    collapsed_count: int = 0
    # Whether no route named the channel: it was told of the alert before.
    follows: bool = False
    # The digest that carries it.
    carried_by: UUID | None = None
