"""Workers are killed between sending and settling, again and again: all is told in the end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert_stubs import acknowledged, an_alert, an_event, resolved
from support.doomed_workers import AT_ONCE, doomed_workers
from support.notifications import LOOPBACK
from support.notify_ground import Ground
from support.receiver import running_receiver
from support.told import Happened, broken_promises, told_by_webhook
from support.waiting import eventually
from tocsin.common.clock import SystemClock
from tocsin.notify.channels.registry import Senders
from tocsin.notify.channels.signature import new_secret
from tocsin.notify.delivery.dispatcher import Dispatcher, DispatchOptions
from tocsin.notify.delivery.retry import RetrySchedule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.figures import Figures
    from tocsin.api.alert.v1.event_pb2 import AlertEvent
    from tocsin.common.postgres.engine import Database

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]

FEW, ALL = 30, 200
BROKEN_OFF = "SELECT count(*) FROM attempts WHERE outcome = 4"
RAISED, ACKNOWLEDGED, RESOLVED = 1, 4, 6


def a_life_of(ground: Ground, number: int) -> list[AlertEvent]:
    """Return what happens in one round: an alert begins, others go on, and some end."""
    events = [an_event(ground.next(), an_alert(number), RAISED)]
    if number > 5:
        events.append(an_event(ground.next(), acknowledged(number - 5), ACKNOWLEDGED))
    if number > 10:
        events.append(an_event(ground.next(), resolved(number - 10), RESOLVED))
    return events


@asynccontextmanager
async def an_immortal_worker(ground: Ground) -> AsyncIterator[None]:
    clock, senders = SystemClock(), Senders(LOOPBACK, clock=SystemClock())
    queue = ground.queue(RetrySchedule((timedelta(),) * 1_000))
    dispatcher = Dispatcher(queue, ground.channels, senders, clock=clock, options=DispatchOptions())
    await dispatcher.start()
    try:
        yield
    finally:
        await dispatcher.stop()
        await senders.close()


@pytest.mark.parametrize("lives", [FEW, pytest.param(ALL, marks=pytest.mark.long)])
async def test_every_delivery_is_made_and_what_comes_twice_was_under_way_at_a_kill(
    notify_url: str, notify_database: Database, figures: Figures, lives: int
) -> None:
    ground = Ground(notify_database, SystemClock())
    happened: list[Happened] = []
    kills = 0
    async with running_receiver() as receiver:
        channel_id = await ground.webhook(receiver.url, new_secret(lambda count: b"s" * count))
        async with doomed_workers(notify_url, channel_id) as workers:
            for number in range(1, lives + 1):
                events = a_life_of(ground, number)
                await ground.take_in(*events)
                happened += [
                    Happened(each.alert.alert_id, each.position.revision, each.type == RESOLVED)
                    for each in events
                ]
                kills += await workers.live_and_die()
        async with an_immortal_worker(ground):

            async def is_over() -> bool:
                return await ground.unfinished() == 0

            await eventually(is_over, within=120)

    told = told_by_webhook(receiver.requests)
    twice = len(told) - len(receiver.webhook_ids)
    [(broken_off,)] = await ground.rows(BROKEN_OFF)
    figures.record(
        fault="killed senders",
        kills=kills,
        events=len(happened),
        requests=len(told),
        came_twice=twice,
        attempts_broken_off=int(str(broken_off)),
        broken_promises=len(broken_promises(happened, told)),
    )
    assert kills > lives // 2  # one that finds a single delivery ends by itself
    assert [] == broken_promises(happened, told)
    assert 0 < twice <= int(str(broken_off)) <= kills * AT_ONCE
    states = await ground.rows("SELECT DISTINCT state FROM deliveries")
    assert {(3,), (4,), (7,)} >= set(states)  # told, never begun, or stood for by newer news
