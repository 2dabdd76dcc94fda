"""To which channels an event is addressed: the routes in their order, or all while there are none.

What a channel was told of an alert is followed up there whatever the routes say: that is not
decided here, but where events are taken in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.own import (
    KIND_CANARY,
    KIND_CHANNEL_FAILING,
    LABEL_CHANNEL_ID,
    OWN_HOST,
)
from tocsin.notify.domain.route import Address
from tocsin.notify.router.matcher import matches, value_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from uuid import UUID

    from tocsin.notify.domain.notification import AlertView, Notification
    from tocsin.notify.domain.route import Route

_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Routing:
    """Whom an event is addressed to, one address for each channel.

    `missed` says why there is none: NO_ROUTE, CHANNEL_OFF or OWN_FAILURE; None when there is.
    """

    addresses: tuple[Address, ...]
    missed: DecisionReason | None


def route(
    notification: Notification, routes: Sequence[Route], enabled: Collection[UUID]
) -> Routing:
    """Address an event. `routes` are all of them in their order, `enabled` the channels that work.

    The first route that names a channel addresses it. Without any routes, disabled ones included,
    every enabled channel is addressed. That a channel fails is never addressed to that channel,
    and to all others when the routes name none of them. The canary goes to its one channel.
    """
    alert = notification.alert
    if alert.host_id == OWN_HOST and alert.kind == KIND_CANARY:
        return _canary(alert, enabled)
    failing = _failing_channel(alert)
    matched = list(_matching(notification, routes))
    named = _named(matched, notification) if routes else _all(enabled)
    addresses = tuple(
        address
        for address in named
        if address.channel_id in enabled and str(address.channel_id) != failing
    )
    if failing and not addresses:
        addresses = tuple(
            address for address in _all(enabled) if str(address.channel_id) != failing
        )
    if addresses:
        return Routing(addresses, None)
    if failing:
        return Routing((), DecisionReason.OWN_FAILURE)
    is_missed = bool(routes) and not matched
    return Routing((), DecisionReason.NO_ROUTE if is_missed else DecisionReason.CHANNEL_OFF)


def group_key(route: Route, notification: Notification) -> str:
    """Return what names the group of an event; empty when its route does not wait for others.

    It is bound to the route, and short whatever the values are.
    """
    if not route.group_wait:
        return ""
    values = [value_of(field.field, field.label, notification) for field in route.group_by]
    digest = blake2b(json.dumps(values).encode(), digest_size=_KEY_BYTES)
    return f"{route.route_id}:{digest.hexdigest()}"


def group_name(route: Route, notification: Notification) -> str:
    """Return what the alerts of a group share, for people: `host_id db-1, kind backup_failed`."""
    return ", ".join(
        f"{field.label or field.field.name.lower()} {value}"
        for field in route.group_by
        if (value := value_of(field.field, field.label, notification))
    )


def _matching(notification: Notification, routes: Sequence[Route]) -> Iterator[Route]:
    for one in routes:
        if one.enabled and _is_matched(one, notification):
            yield one
            if not one.continue_matching:
                return


def _is_matched(route: Route, notification: Notification) -> bool:
    is_severe = route.min_severity is None or notification.alert.severity >= route.min_severity
    return is_severe and matches(route.matchers, notification)


def _named(matched: Sequence[Route], notification: Notification) -> list[Address]:
    named: dict[UUID, Address] = {}
    for one in matched:
        key = group_key(one, notification)
        for channel_id in one.channel_ids:
            named.setdefault(channel_id, Address(channel_id, one.route_id, key))
    return list(named.values())


def _all(enabled: Collection[UUID]) -> list[Address]:
    return [Address(channel_id, None) for channel_id in sorted(enabled)]


def _failing_channel(alert: AlertView) -> str:
    """Return the id of the channel that an alert says fails, empty for any other alert."""
    is_own = alert.host_id == OWN_HOST and alert.kind == KIND_CHANNEL_FAILING
    return alert.dedup_key if is_own else ""


def _canary(alert: AlertView, enabled: Collection[UUID]) -> Routing:
    wanted = alert.labels.get(LABEL_CHANNEL_ID, "")
    addresses = tuple(address for address in _all(enabled) if str(address.channel_id) == wanted)
    return Routing(addresses, None if addresses else DecisionReason.CHANNEL_OFF)
