"""What is still wrong is told again, with longer and longer pauses, until somebody takes it on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from tocsin.common.ids import uuid7
from tocsin.notify.domain.notification import AlertStatus, EventType, Notification
from tocsin.notify.store import deliveries_waiting, inbox, notices, reminders, routes
from tocsin.notify.store.collapse import NewDelivery
from tocsin.notify.store.reminders import NextReminder

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from datetime import datetime

    import asyncpg

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.notification import AlertView
    from tocsin.notify.domain.route import Reminders, Route
    from tocsin.notify.store.inbox import Cursor
    from tocsin.notify.store.reminders import DueReminder

# How late a reminder may be found due.
REST = timedelta(seconds=5)
_BATCH = 100
_NOWHERE = inbox.Cursor(UUID(int=0), 0)


class ReminderSweep:
    """Finds what is due; `step` is for a BackgroundLoop.

    Several processes may do it at once: each takes what no other has. `on_change` is called when
    there is something new to deliver.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        on_change: Callable[[], None],
        new_id: NewId = uuid7,
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_change = on_change
        self._new_id = new_id

    async def step(self) -> timedelta:
        """Remind of at most 100 alerts, and return how long to rest."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            if not await reminders.is_due(connection, now):
                return REST
        async with self._database.transaction() as connection:
            count, made = await self._remind(connection, now)
        if made:
            self._on_change()
        return timedelta() if count == _BATCH else REST

    async def _remind(self, connection: asyncpg.Connection, now: datetime) -> tuple[int, int]:
        channels = await inbox.lock_channels(connection)
        known = {route.route_id: route for route in await routes.read_all(connection)}
        taken = await reminders.take_due(connection, now, _BATCH)
        cursor = await inbox.read_cursor(connection) or _NOWHERE
        following, rows = [], []
        for due in taken:
            rule = rule_of(due, known, channels)
            is_told = channels.get(due.channel_id, False)
            after = following_of(due, rule, now, is_told=is_told)
            following.append(after)
            if rule is not None and due.alert is not None and is_told:
                reminder = _reminder(self._new_id(), due.alert, cursor, now)
                sequence = await notices.add(connection, reminder, due.alert_id, now)
                rows.append(self._addressed(due, reminder.event_id, sequence, after.time))
        made = await deliveries_waiting.address(connection, rows, now)
        await reminders.save(connection, following)
        return len(taken), made

    def _addressed(
        self, due: DueReminder, event_id: UUID, sequence: int, expire_time: datetime | None
    ) -> NewDelivery:
        return NewDelivery(
            delivery_id=self._new_id(),
            channel_id=due.channel_id,
            alert_id=due.alert_id,
            event_id=event_id,
            sequence=sequence,
            type=EventType.REMINDER,
            route_id=due.route_id,
            group_key=due.group_key,
            expire_time=expire_time,
        )


def rule_of(
    due: DueReminder, routes: Mapping[UUID, Route], channels: Container[UUID]
) -> Reminders | None:
    """Return how to remind, None when nobody is to be reminded any more.

    `channels` are those that are not deleted.
    """
    route = None if due.route_id is None else routes.get(due.route_id)
    if route is None or route.reminders is None or due.count >= route.reminders.max_count:
        return None
    is_open = due.alert is not None and due.alert.status is AlertStatus.OPEN
    return route.reminders if is_open and due.channel_id in channels else None


def following_of(
    due: DueReminder, rule: Reminders | None, now: datetime, *, is_told: bool
) -> NextReminder:
    """Return when the next reminder comes: never after the last.

    `is_told`: this one is sent; while its channel is disabled it is put off, and does not count.
    """
    if rule is None:
        return NextReminder(due.channel_id, due.alert_id, due.count, None)
    count = due.count + is_told
    time = now + pause_after(rule, count) if count < rule.max_count else None
    return NextReminder(due.channel_id, due.alert_id, count, time)


def pause_after(rule: Reminders, count: int) -> timedelta:
    """Return the pause after so many reminders: each is `factor` times the one before."""
    longest = rule.longest_pause
    seconds = rule.first_after.total_seconds()
    for _ in range(count):
        seconds = min(seconds * rule.factor, longest.total_seconds())
    return timedelta(seconds=seconds)


def _reminder(event_id: UUID, alert: AlertView, cursor: Cursor, now: datetime) -> Notification:
    return Notification(
        event_id=event_id,
        type=EventType.REMINDER,
        epoch=cursor.epoch,
        revision=cursor.revision,
        alert=alert,
        actor="tocsin-notify",
        on_behalf_of="",
        note="",
        occur_time=now,
        record_time=now,
        traceparent="",
        synthetic=True,
    )
