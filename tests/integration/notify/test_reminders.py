"""What is still wrong is told again, until somebody takes it on or it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from support.alert_stubs import acknowledged, alert_id, an_event
from support.notify_ground import OK, Ground
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_ACKNOWLEDGED
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.notification import EventType
from tocsin.notify.domain.route import QuietHours, Reminders, Route
from tocsin.notify.store.routes import RouteStore
from tocsin.notify.sweep.reminders import ReminderSweep, pause_after

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

NIGHT, MORNING = time(22), time(6)
RULE = Reminders(timedelta(minutes=10), 2.0, timedelta(minutes=25), 3)


class Told:
    """One channel with a route that reminds, and the sweep."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.ground = Ground(database, clock)
        self.clock = clock
        self.changes = 0
        self.sweep = ReminderSweep(database, clock=clock, on_change=self._changed)
        self.routes = RouteStore(database, clock)
        self.channel_id = UUID(int=0)
        self.route = Route(uuid4(), 0, "on call", True, (), (), reminders=RULE)

    def _changed(self) -> None:
        self.changes += 1

    async def begin(self) -> None:
        """Tell the channel of alert 1."""
        self.channel_id = await self.ground.channel()
        self.route = Route(uuid4(), 0, "on call", True, (), (self.channel_id,), reminders=RULE)
        await self.routes.create(self.route)
        await self.ground.raised(1)
        await self.send()

    async def send(self) -> None:
        queue = self.ground.queue()
        for claim in await queue.claim(self.channel_id, 10):
            await queue.settle(claim, OK)

    async def after(self, minutes: float) -> list[EventType]:
        """Let time pass, remind and send; return what was told of the alert by then."""
        self.clock.advance(timedelta(minutes=minutes))
        await self.sweep.step()
        await self.send()
        return [
            EventType(delivery.event_type)
            for delivery in await self.ground.of(self.channel_id)
            if delivery.state is DeliveryState.DELIVERED
        ]


@pytest.fixture
async def told(notify_database: Database, clock: ManualClock) -> Told:
    ready = Told(notify_database, clock)
    await ready.begin()
    return ready


async def test_reminders_come_with_longer_and_longer_pauses_and_then_no_more(told: Told) -> None:
    raised, again = [EventType.RAISED], EventType.REMINDER

    assert raised == await told.after(9)
    assert [*raised, again] == await told.after(1)
    assert [*raised, again] == await told.after(19)
    assert [*raised, again, again] == await told.after(1)
    assert [*raised, again, again] == await told.after(24)
    assert [*raised, again, again, again] == await told.after(1)
    assert [*raised, again, again, again] == await told.after(1_000)
    assert 3 == told.changes


async def test_reminders_stop_when_somebody_acknowledges(told: Told) -> None:
    await told.ground.take_in(
        an_event(told.ground.next(), acknowledged(1), ALERT_EVENT_TYPE_ACKNOWLEDGED)
    )
    await told.send()

    assert [EventType.RAISED, EventType.ACKNOWLEDGED] == await told.after(60)


async def test_reminders_stop_when_it_is_over(told: Told) -> None:
    await told.ground.resolved(1)
    await told.send()

    assert [EventType.RAISED, EventType.RESOLVED] == await told.after(60)


async def test_what_is_acknowledged_in_the_meantime_is_not_reminded_of(told: Told) -> None:
    """An acknowledgement may be overtaken by the settling of what was told before."""
    await told.ground.take_in(
        an_event(told.ground.next(), acknowledged(1), ALERT_EVENT_TYPE_ACKNOWLEDGED)
    )
    await told.send()
    await told.ground.rows("UPDATE tellings SET next_reminder_time = $1", told.clock.now())

    assert [EventType.RAISED, EventType.ACKNOWLEDGED] == await told.after(1)
    assert [(None,)] == await told.ground.rows("SELECT next_reminder_time FROM tellings")


async def test_a_route_without_reminders_reminds_of_nothing_more(told: Told) -> None:
    (route,) = await told.routes.list_all()
    await told.routes.delete(route.route_id)

    assert [EventType.RAISED] == await told.after(60)
    assert [(None,)] == await told.ground.rows("SELECT next_reminder_time FROM tellings")


async def test_while_its_channel_is_disabled_a_reminder_is_put_off(told: Told) -> None:
    await told.ground.rows("UPDATE channels SET enabled = false")
    assert [EventType.RAISED] == await told.after(60)
    await told.ground.rows("UPDATE channels SET enabled = true")

    assert [EventType.RAISED, EventType.REMINDER] == await told.after(10)
    assert [(1,)] == await told.ground.rows("SELECT reminder_count FROM tellings")


async def test_a_reminder_that_nobody_could_send_is_of_no_use_when_the_next_one_is_due(
    told: Told,
) -> None:
    told.clock.advance(timedelta(minutes=10))
    await told.sweep.step()
    told.clock.advance(timedelta(minutes=21))

    await told.send()

    (_, reminder) = await told.ground.of(told.channel_id)
    assert DeliveryState.EXPIRED == reminder.state


async def test_after_quiet_hours_the_newest_of_the_reminders_that_waited_is_told(
    told: Told, clock: ManualClock
) -> None:
    clock.set(clock.now().replace(hour=23, minute=0))
    await told.routes.update(replace(told.route, quiet_hours=QuietHours("UTC", NIGHT, MORNING)))
    await told.ground.rows("UPDATE tellings SET next_reminder_time = $1", clock.now())

    for _ in range(30):  # more than there are reminders
        await told.after(5)
    assert [EventType.RAISED] == await told.after(0)

    assert [EventType.RAISED, EventType.REMINDER] == await told.after(6 * 60)


async def test_a_reminder_tells_the_alert_as_it_is_now(told: Told) -> None:
    await told.ground.changed(1, EventType.SEVERITY_CHANGED)
    await told.send()
    told.clock.advance(timedelta(minutes=10))
    await told.sweep.step()

    (claim,) = await told.ground.queue().claim(told.channel_id, 1)

    assert claim.message is not None
    assert EventType.REMINDER == claim.message.type
    assert UUID(alert_id(1)) == claim.message.alert.alert_id  # type: ignore[union-attr]  # a reminder is of an alert


async def test_two_sweeps_at_once_remind_once(told: Told) -> None:
    other = ReminderSweep(told.ground.database, clock=told.clock, on_change=lambda: None)
    told.clock.advance(timedelta(minutes=10))

    await told.sweep.step()
    await other.step()

    assert 2 == len(await told.ground.of(told.channel_id))


def test_a_pause_is_never_longer_than_the_longest() -> None:
    assert [10, 20, 25, 25] == [pause_after(RULE, count).total_seconds() / 60 for count in range(4)]
