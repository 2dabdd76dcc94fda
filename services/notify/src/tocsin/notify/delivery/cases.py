"""Rows of the queue as cases, with all that the decision about them depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tocsin.notify.delivery import statements
from tocsin.notify.delivery.messages import read_message
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.notice import NoticeType, message_type
from tocsin.notify.domain.notification import EventType, Notification
from tocsin.notify.domain.telling import Case, Root, Telling
from tocsin.notify.router.silences import silencing
from tocsin.notify.store import flaps, known_alerts, silences
from tocsin.notify.store.route_rows import route_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.notification import AlertView
    from tocsin.notify.domain.route import Route
    from tocsin.notify.domain.silence import Silence
    from tocsin.notify.store.flaps import FlapKey


async def read_cases(
    connection: asyncpg.Connection, rows: Sequence[asyncpg.Record], now: datetime
) -> list[Case]:
    """Make cases of rows of one channel's queue. One whose document cannot be read makes none.

    The number of statements does not depend on that of the rows, and what was told already asks
    for nothing.
    """
    cases = [case for case in map(_case, rows) if case is not None]
    asked = [case for case in cases if _has_a_route(case)]
    if not asked:
        return cases
    grounds = await _read_grounds(connection, asked, rows[0], now)
    return [grounds.added_to(case) for case in cases]


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What may hold first news back."""

    now: datetime
    routes: Mapping[UUID, Route]
    silences: Sequence[Silence]
    roots: Mapping[UUID, Root | None]
    flapping: Mapping[FlapKey, datetime]

    def added_to(self, case: Case) -> Case:
        route_id, alert = case.telling.route_id, _held_alert(case)
        route = None if route_id is None else self.routes.get(route_id)
        if alert is None:
            return replace(case, route=route)
        root_id = alert.suppressed_by
        return replace(
            case,
            route=route,
            silence=silencing(self.silences, alert, self.now),
            root=None if root_id is None else self._root(root_id, case),
            flapping_until=self.flapping.get(_key(alert)),
        )

    def _root(self, root_id: UUID, case: Case) -> Root | None:
        """Return it; one that nothing is known of counts as over since this was addressed."""
        return self.roots.get(root_id, Root(root_id, case.create_time))


async def _read_grounds(
    connection: asyncpg.Connection, cases: Sequence[Case], row: asyncpg.Record, now: datetime
) -> _Grounds:
    """Read it; `row` says of what there is any."""
    alerts = [alert for case in cases if (alert := _held_alert(case)) is not None]
    root_ids = {alert.suppressed_by for alert in alerts if alert.suppressed_by is not None}
    channel_id = cases[0].telling.channel_id
    keys = {_key(alert) for alert in alerts} if row["any_flapping"] else set()
    return _Grounds(
        now,
        await _read_routes(connection, cases),
        await silences.read_current(connection, now) if row["any_silences"] else (),
        await known_alerts.read_roots(connection, root_ids, channel_id) if root_ids else {},
        await flaps.flapping_until(connection, channel_id, keys, now),
    )


async def _read_routes(connection: asyncpg.Connection, cases: Sequence[Case]) -> dict[UUID, Route]:
    route_ids = {case.telling.route_id for case in cases} - {None}
    if not route_ids:
        return {}
    rows = await connection.fetch(statements.ROUTES, list(route_ids))
    return {row["route_id"]: route_of(row) for row in rows}


def _has_a_route(case: Case) -> bool:
    """Whether the rules of its route may hold it: all that may be held, and what flaps."""
    return _held_alert(case) is not None or case.notification.type is NoticeType.FLAPPING


def _held_alert(case: Case) -> AlertView | None:
    """Return the alert of what may be held: first news, and reminders."""
    notification, telling = case.notification, case.telling
    if not isinstance(notification, Notification) or telling.is_over:
        return None
    if telling.maybe_told and notification.type is not EventType.REMINDER:
        return None
    return None if notification.type is EventType.RESOLVED else notification.alert


def _key(alert: AlertView) -> FlapKey:
    return alert.host_id, alert.kind, alert.dedup_key


def _case(row: asyncpg.Record) -> Case | None:
    message = read_message(row["document"], row["delivery_id"])
    if message is None:
        return None
    told_as = row["told_as"]
    return Case(
        delivery_id=row["delivery_id"],
        notification=message,
        create_time=row["create_time"],
        collapsed_count=row["collapsed_count"],
        telling=_telling(row),
        expire_time=row["expire_time"],
        told_as=None if told_as is None else message_type(told_as),
        attempt_count=row["attempt_count"],
        retry_count=row["retry_count"],
        reason=DecisionReason(row["reason"]),
        held_by=row["held_by"],
    )


def _telling(row: asyncpg.Record) -> Telling:
    return Telling(
        channel_id=row["channel_id"],
        alert_id=row["alert_id"],
        route_id=row["route_id"],
        group_key=row["group_key"],
        maybe_told=row["maybe_told"],
        is_over=row["is_over"],
        reminder_count=row["reminder_count"],
        next_reminder_time=row["next_reminder_time"],
    )
