"""All that is known of how an alert was told, as plain values: what an explanation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.decision import KeptDecision
    from tocsin.notify.domain.delivery import Attempt, Delivery
    from tocsin.notify.domain.health import Breaker
    from tocsin.notify.domain.notice import MessageType


@dataclass(frozen=True, slots=True)
class TakenEvent:
    """An event of the alert, or a reminder. `failing_channel` is the one that it says fails."""

    event_id: UUID
    type: MessageType
    receive_time: datetime
    failing_channel: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A channel as it is now. `maybe_told` of the alert; `breaker` None when nothing is known.

    `paused_until`, when it is to come, is until when the far side asked to be left alone.
    """

    channel_id: UUID
    display_name: str
    enabled: bool
    deleted: bool
    create_time: datetime
    maybe_told: bool = False
    breaker: Breaker | None = None
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What was decided about one alert: each in the order of time, the last of them.

    `attempts` has those of each delivery, digests that carried them included. `routes` and
    `silences` are the names of those that are mentioned; one that was deleted is missing.
    `caught_up_time` is when all there is was last taken in, None for never.
    """

    alert_id: UUID
    events: tuple[TakenEvent, ...]
    deliveries: tuple[Delivery, ...]
    attempts: Mapping[UUID, tuple[Attempt, ...]]
    decisions: tuple[KeptDecision, ...]
    channels: Mapping[UUID, Standing]
    routes: Mapping[UUID, str]
    silences: Mapping[UUID, str]
    caught_up_time: datetime | None
    truncated: bool
