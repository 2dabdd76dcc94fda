"""To whom events go: whom the routes name, and whoever heard of their alert before. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.domain.decision import DecisionReason, KeptDecision
from tocsin.notify.domain.notification import AlertStatus, EventType
from tocsin.notify.router.tree import route
from tocsin.notify.store.collapse import NewDelivery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from tocsin.common.ids import NewId
    from tocsin.notify.domain.notification import Notification
    from tocsin.notify.domain.route import Address, Route
    from tocsin.notify.store.inbox import Taken


@dataclass(frozen=True, slots=True)
class Addressed:
    """Deliveries to make, and why nobody is told of the other events."""

    deliveries: tuple[NewDelivery, ...]
    missed: tuple[KeptDecision, ...]


class Addressing:
    """Addresses the events of one transaction, in their order.

    `channels` are those that are not deleted, with whether they are enabled; `followers` which of
    them heard of the alerts that the events are about, and by which route. A channel that
    something of an alert was addressed to gets all that comes later, whatever the routes say: also
    while it is disabled, where it waits, so that a beginning that waits there meets its end.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        channels: Mapping[UUID, bool],
        followers: Iterable[tuple[UUID, Address]],
        *,
        new_id: NewId,
    ) -> None:
        self._routes = routes
        self._enabled = frozenset(each for each, enabled in channels.items() if enabled)
        self._new_id = new_id
        self._followers: dict[UUID, dict[UUID, Address]] = {}
        for alert_id, address in followers:
            if address.channel_id in channels:
                self._follow(alert_id, address)

    def address(self, events: Iterable[Taken], now: datetime) -> Addressed:
        deliveries: list[NewDelivery] = []
        missed: list[KeptDecision] = []
        for event in events:
            made, reason = self._one(event)
            deliveries += made
            if reason is not None:
                missed.append(_missed(event.notification, reason, now))
        return Addressed(tuple(deliveries), tuple(missed))

    def _one(self, event: Taken) -> tuple[list[NewDelivery], DecisionReason | None]:
        alert_id = event.notification.alert.alert_id
        routing = route(event.notification, self._routes, self._enabled)
        named = {address.channel_id for address in routing.addresses}
        for address in routing.addresses:
            self._follow(alert_id, address)
        made = [
            self._delivery(event, address, follows=channel_id not in named)
            for channel_id, address in sorted(self._followers.get(alert_id, {}).items())
        ]
        return made, None if made else routing.missed

    def _follow(self, alert_id: UUID, address: Address) -> None:
        self._followers.setdefault(alert_id, {})[address.channel_id] = address

    def _delivery(self, event: Taken, address: Address, *, follows: bool) -> NewDelivery:
        notification = event.notification
        status = notification.alert.status
        is_over = notification.type is EventType.RESOLVED or status is AlertStatus.RESOLVED
        return NewDelivery(
            delivery_id=self._new_id(),
            channel_id=address.channel_id,
            alert_id=notification.alert.alert_id,
            event_id=notification.event_id,
            sequence=event.sequence,
            type=notification.type,
            route_id=address.route_id,
            group_key=address.group_key,
            follows=follows,
            is_over=is_over,
            is_known=status is AlertStatus.ACKNOWLEDGED,
            reopens=notification.synthetic and not is_over,
        )


def _missed(notification: Notification, reason: DecisionReason, now: datetime) -> KeptDecision:
    return KeptDecision(
        time=now,
        event_id=notification.event_id,
        alert_id=notification.alert.alert_id,
        channel_id=None,
        delivery_id=None,
        reason=reason,
    )
