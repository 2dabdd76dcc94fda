"""Which keys begin to flap with what was taken in, and who is told so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.notify.domain.flap import Flap
from tocsin.notify.domain.notice import FlapNotice, NoticeType
from tocsin.notify.domain.notification import AlertStatus, EventType
from tocsin.notify.domain.own import OWN_HOST
from tocsin.notify.router import flapping
from tocsin.notify.router.silences import silencing
from tocsin.notify.store import flaps, notices, silences
from tocsin.notify.store.collapse import NewDelivery

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import asyncpg

    from tocsin.common.ids import NewId
    from tocsin.notify.domain.flap import FlapRule
    from tocsin.notify.domain.notification import AlertView, Notification
    from tocsin.notify.store.flaps import FlapKey
    from tocsin.notify.store.inbox import InboxEvent, TakenIn


def keys_of(events: Iterable[InboxEvent], rule: FlapRule) -> set[FlapKey]:
    """Return the keys that these events may make flap."""
    told = (event.notification for event in events) if rule.raises else ()
    return {_key(each.alert) for each in told if each is not None and _may_count(each)}


async def beginnings(
    connection: asyncpg.Connection,
    new: TakenIn,
    addressed: Sequence[NewDelivery],
    *,
    rule: FlapRule,
    now: datetime,
    new_id: NewId,
) -> list[NewDelivery]:
    """Note what was raised, and return deliveries of a notice for each key that begins to flap.

    They go to whom the raise is addressed. Only raises that would be told count: what a silence
    or another alert holds back makes no noise.
    """
    raised = await _counting(connection, new, addressed, now) if rule.raises else []
    if not raised:
        return []
    remembered: dict[FlapKey, Flap] = {}
    if new.any_raised_before:
        remembered = await flaps.lock(connection, {_key(each.alert) for each in raised})
    made: list[NewDelivery] = []
    for each in raised:
        key = _key(each.alert)
        flap, begins = flapping.note(remembered.get(key, Flap(*key)), each.record_time, rule)
        # What was long over when it was taken in is not told as going on.
        if begins and flap.until is not None and flap.until > now:
            notice = _notice(flap, each, rule, new_id)
            flap = replace(flap, subject_id=notice.subject_id)
            made += await _told(connection, notice, addressed, now, new_id)
        remembered[key] = flap
    await flaps.save(connection, remembered.values())
    return made


async def _counting(
    connection: asyncpg.Connection,
    new: TakenIn,
    addressed: Iterable[NewDelivery],
    now: datetime,
) -> list[Notification]:
    named = {each.event_id for each in addressed}
    raised = [
        each.notification
        for each in new.taken
        if each.notification.event_id in named and _may_count(each.notification)
    ]
    if not raised or not new.any_silences:
        return raised
    current = await silences.read_current(connection, now)
    return [each for each in raised if silencing(current, each.alert, now) is None]


def _may_count(notification: Notification) -> bool:
    alert = notification.alert
    return (
        notification.type is EventType.RAISED
        and not notification.synthetic
        and alert.suppressed_by is None
        and alert.host_id != OWN_HOST
    )


def _notice(flap: Flap, raised: Notification, rule: FlapRule, new_id: NewId) -> FlapNotice:
    alert = raised.alert
    return FlapNotice(
        event_id=new_id(),
        type=NoticeType.FLAPPING,
        subject_id=new_id(),
        alert_id=alert.alert_id,
        host_id=alert.host_id,
        host_name=alert.host_name,
        kind=alert.kind,
        dedup_key=alert.dedup_key,
        severity=alert.severity,
        raises=len(flap.raise_times),
        window=rule.window,
        is_open=alert.status is not AlertStatus.RESOLVED,
        occur_time=raised.occur_time,
    )


async def _told(
    connection: asyncpg.Connection,
    notice: FlapNotice,
    addressed: Iterable[NewDelivery],
    now: datetime,
    new_id: NewId,
) -> list[NewDelivery]:
    sequence = await notices.add(connection, notice, notice.subject_id, now)
    # One for each channel, however many events of the alert came with this one.
    routes = {
        each.channel_id: each.route_id for each in addressed if each.alert_id == notice.alert_id
    }
    return [
        NewDelivery(
            delivery_id=new_id(),
            channel_id=channel_id,
            alert_id=notice.subject_id,
            event_id=notice.event_id,
            sequence=sequence,
            type=notice.type,
            route_id=route_id,
        )
        for channel_id, route_id in sorted(routes.items())
    ]


def _key(alert: AlertView) -> FlapKey:
    return alert.host_id, alert.kind, alert.dedup_key
