"""Who would be told of events, and how often, if they were taken in with certain routes.

What a channel is told of an alert is followed up there, as when events are taken in for good.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.notify.domain.notification import EventType, Severity
from tocsin.notify.router.quiet_hours import quiet_until
from tocsin.notify.router.silences import silencing
from tocsin.notify.router.tree import route

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from tocsin.notify.domain.notification import Notification
    from tocsin.notify.domain.route import Route
    from tocsin.notify.domain.silence import Silence

UNTOLD_KINDS = 20

# What is told as something new when it is the first that a channel hears of an alert.
_NEWS = frozenset(EventType) - {EventType.ACKNOWLEDGED, EventType.RESOLVED, EventType.REMINDER}


@dataclass(slots=True)
class Told:
    """What one channel would be told: all events, those that begin something, those held first.

    `routes` counts the events that each route addresses.
    """

    event_count: int = 0
    raised_count: int = 0
    held_count: int = 0
    routes: Counter[UUID] = field(default_factory=Counter)


class Simulation:
    """Takes in events one by one, in their order, and counts. Nothing is kept or sent."""

    def __init__(
        self, routes: Sequence[Route], enabled: Collection[UUID], silences: Sequence[Silence]
    ) -> None:
        self.event_count = 0
        self.untold: Counter[str] = Counter()
        self.told: dict[UUID, Told] = {}
        self._routes = routes
        self._by_id = {one.route_id: one for one in routes}
        self._enabled = enabled
        self._silences = silences
        self._following: dict[UUID, set[UUID]] = {}

    def take_in(self, notification: Notification) -> None:
        """Address one event, and count it."""
        self.event_count += 1
        alert_id = notification.alert.alert_id
        following = self._following.get(alert_id, set())
        addressed = {
            address.channel_id: address.route_id
            for address in route(notification, self._routes, self._enabled).addresses
        }
        for channel_id in addressed.keys() | following:
            told = self.told.setdefault(channel_id, Told())
            told.event_count += 1
            route_id = addressed.get(channel_id)
            if route_id is not None:
                told.routes[route_id] += 1
            if channel_id not in following and notification.type in _NEWS:
                told.raised_count += 1
                told.held_count += self._is_held(notification, route_id)
        if addressed:
            self._following[alert_id] = following | addressed.keys()
        elif not following:
            self.untold[notification.alert.kind] += 1

    def _is_held(self, notification: Notification, route_id: UUID | None) -> bool:
        alert, at = notification.alert, notification.occur_time
        if alert.suppressed_by is not None or silencing(self._silences, alert, at) is not None:
            return True
        by = None if route_id is None else self._by_id[route_id]
        return (
            by is not None
            and by.quiet_hours is not None
            and alert.severity < Severity.CRITICAL
            and quiet_until(by.quiet_hours, at) is not None
        )
