"""The telling: what one channel knows of one alert. The contract of delivery hangs on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.domain.decision import DecisionReason

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.notice import Message, MessageType
    from tocsin.notify.domain.route import Route


@dataclass(frozen=True, slots=True)
class Telling:
    """One channel and one alert. There is one as soon as an event of it is addressed there.

    Its row is the lock of all decisions about this channel and alert. `maybe_told`: something that
    said that it is wrong has reached the far side, or may have. `is_over`: a RESOLVED was
    addressed. `route_id` is the route that addressed it last, None for the default route.
    """

    channel_id: UUID
    alert_id: UUID
    route_id: UUID | None
    group_key: str
    maybe_told: bool
    is_over: bool
    reminder_count: int = 0
    next_reminder_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """The alert that explains another: still open, or over since `over_time`."""

    alert_id: UUID
    over_time: datetime | None


@dataclass(frozen=True, slots=True)
class Case:
    """A delivery whose turn has come, with all that its decision depends on.

    `notification` is what it tells; once it is decided to send it, as it is told (its type).
    `create_time` is when the first news of the alert was addressed there. `silence` holds
    (silence_id, until) of the active silence that ends last among those that match it.
    `flapping_until` is set while its key flaps. `route` is as it is now, None when it is the
    default route or was deleted. `expire_time` only for notify's own messages. `told_as` is set
    once an attempt was begun. `reason` and `held_by` are those of the hold that it is in, if any.
    """

    delivery_id: UUID
    notification: Message
    create_time: datetime
    collapsed_count: int
    telling: Telling
    route: Route | None = None
    silence: tuple[UUID, datetime] | None = None
    root: Root | None = None
    flapping_until: datetime | None = None
    expire_time: datetime | None = None
    told_as: MessageType | None = None
    attempt_count: int = 0
    retry_count: int = 0
    reason: DecisionReason = DecisionReason.UNSPECIFIED
    held_by: UUID | None = None
