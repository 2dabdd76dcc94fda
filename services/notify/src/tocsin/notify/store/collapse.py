"""News of one alert that wait for one channel collapse into the newest. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.notification import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.notice import MessageType
    from tocsin.notify.domain.telling import Telling

    Pair = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One event addressed to one channel.

    `sequence` is that of its event. `route_id` and `group_key` are those of the route that
    addressed it, or of the telling that it `follows`. `is_over`: the alert was resolved by then;
    `is_known`: somebody had acknowledged it. `reopens`: it was made by comparing with a snapshot
    and says that the alert is open. `expire_time` only for notify's own messages.
    """

    delivery_id: UUID
    channel_id: UUID
    alert_id: UUID
    event_id: UUID
    sequence: int
    type: MessageType
    route_id: UUID | None = None
    group_key: str = ""
    follows: bool = False
    is_over: bool = False
    is_known: bool = False
    reopens: bool = False
    expire_time: datetime | None = None

    @property
    def pair(self) -> Pair:
        return self.channel_id, self.alert_id


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that waits for its turn, PENDING or HELD."""

    delivery_id: UUID
    type: MessageType
    state: DeliveryState
    next_attempt_time: datetime
    collapsed_count: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A new delivery with its place: waiting, or superseded by one that came with it."""

    new: NewDelivery
    collapsed_count: int
    next_attempt_time: datetime
    superseded_by: UUID | None = None


@dataclass(slots=True)
class Plan:
    """What is to be written: `superseded` holds (old, new) for what waited before."""

    placed: list[Placed] = field(default_factory=list)
    superseded: list[tuple[UUID, UUID]] = field(default_factory=list)
    tellings: dict[Pair, Telling] = field(default_factory=dict)


def collapse(
    rows: Iterable[NewDelivery],
    waiting: Mapping[Pair, Waiting],
    tellings: Mapping[Pair, Telling],
    now: datetime,
) -> Plan:
    """Decide where new deliveries stand, given what waits for their channels and alerts.

    A retry that the old one waited for is waited for by the new one too. What held the old one is
    asked anew, so that quiet hours do not hold what became critical. A reminder of what is about
    to be told anyway is left out, but it takes the place of an older reminder, which is of no use
    by now.
    """
    plan, latest = Plan(tellings=dict(tellings)), dict(waiting)
    places: dict[UUID, int] = {}
    for row in rows:
        present = latest.get(row.pair)
        if row.type is EventType.REMINDER and _is_news(present):
            continue
        plan.tellings[row.pair] = telling_after(plan.tellings[row.pair], row)
        placed = _placed(row, present, now)
        if present is not None:
            _supersede(plan, places, present, row)
        places[row.delivery_id] = len(plan.placed)
        plan.placed.append(placed)
        latest[row.pair] = _waiting(placed)
    return plan


def telling_after(telling: Telling, row: NewDelivery) -> Telling:
    """Return what the channel's telling is once `row` is addressed there."""
    if not row.follows:
        telling = replace(telling, route_id=row.route_id, group_key=row.group_key)
    if row.is_over or row.is_known:  # nobody needs to be reminded
        telling = replace(telling, next_reminder_time=None, reminder_count=0)
    return replace(telling, is_over=row.is_over or (telling.is_over and not row.reopens))


def _placed(row: NewDelivery, present: Waiting | None, now: datetime) -> Placed:
    if present is None:
        return Placed(row, 0, now)
    count = present.collapsed_count + _is_news(present)
    if present.state is DeliveryState.HELD:
        return Placed(row, count, now)
    return Placed(row, count, max(now, present.next_attempt_time))


def _is_news(present: Waiting | None) -> bool:
    """Whether something waits that happened to the alert: a reminder is no event of it."""
    return present is not None and present.type is not EventType.REMINDER


def _supersede(plan: Plan, places: dict[UUID, int], old: Waiting, new: NewDelivery) -> None:
    place = places.get(old.delivery_id)
    if place is None:
        plan.superseded.append((old.delivery_id, new.delivery_id))
    else:
        plan.placed[place] = replace(plan.placed[place], superseded_by=new.delivery_id)


def _waiting(placed: Placed) -> Waiting:
    return Waiting(
        placed.new.delivery_id,
        placed.new.type,
        DeliveryState.PENDING,
        placed.next_attempt_time,
        placed.collapsed_count,
    )
