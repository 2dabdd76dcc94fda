"""A subscriber that is interrupted in every way, over and over, against what it must have heard.

All that happens is drawn from one seed: the world moves on by a few events with each batch that
the subscriber stores.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from support.alert_stubs import OTHER_EPOCH, acknowledged, an_alert, at, resolved
from support.scripted_log import Manners, ScriptedLog, serving
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_pb2 import (
    ALERT_STATUS_ACKNOWLEDGED,
    SEVERITY_CRITICAL,
    Alert,
)
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_ACKNOWLEDGED,
    ALERT_EVENT_TYPE_RAISED,
    ALERT_EVENT_TYPE_SEVERITY_CHANGED,
    Position,
)
from tocsin.client import AlertClient, RetryPolicy
from tocsin.client.diff import apply_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.client import StreamBatch, StreamEvent

IMPATIENT = RetryPolicy(
    first_wait=timedelta(milliseconds=1), longest_wait=timedelta(milliseconds=5)
)
SILENCE = timedelta(milliseconds=100)


@dataclass
class World:
    """Raises, changes and resolves alerts at random, compacts the log, and restores it."""

    log: ScriptedLog
    chance: random.Random
    steps_left: int
    upheaval: float = 0.0
    _numbers: int = 0
    _backup: list[Alert] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.steps_left == 0

    def move_on(self) -> None:
        for _ in range(min(self.chance.randint(1, 8), self.steps_left)):
            self._change_an_alert()
            self.steps_left -= 1
        if self.chance.random() < 0.3:
            self.log.manners.append(bad_manners(self.chance))
        if self.chance.random() < self.upheaval:
            self.chance.choice([self.log.compact, self._keep_backup, self._restore])()

    def _change_an_alert(self) -> None:
        alerts = self.log.open
        if not alerts or self.chance.random() < 0.4:
            self._numbers += 1
            self.log.append(an_alert(self._numbers))
            return
        alert = self.chance.choice(alerts)
        number = UUID(alert.alert_id).int & 0xFFFF
        later = alert.version + 1
        if self.chance.random() < 0.5:
            self.log.append(resolved(number, severity=alert.severity, version=later))
        elif alert.status != ALERT_STATUS_ACKNOWLEDGED:
            taken = acknowledged(number, severity=alert.severity, version=later)
            self.log.append(taken, ALERT_EVENT_TYPE_ACKNOWLEDGED)
        elif alert.severity != SEVERITY_CRITICAL:
            worse = acknowledged(number, severity=SEVERITY_CRITICAL, version=later)
            self.log.append(worse, ALERT_EVENT_TYPE_SEVERITY_CHANGED)
        else:
            touched = acknowledged(number, severity=SEVERITY_CRITICAL, last_seen_time=at(later))
            self.log.alerts[alert.alert_id] = touched

    def _keep_backup(self) -> None:
        self._backup = list(self.log.alerts.values())

    def _restore(self) -> None:
        epoch = str(UUID(int=UUID(OTHER_EPOCH).int + self.steps_left))
        self.log.restore(epoch, self.log.head // 2, *self._backup)


@dataclass
class Subscriber:
    """Stores every batch with its position, and stops at random to begin again from there."""

    client: AlertClient
    world: World
    position: Position
    known: dict[str, Alert] = field(default_factory=dict)
    heard: list[StreamEvent] = field(default_factory=list)

    async def follow(self) -> None:
        """Follow until the world has stopped and its last event was stored."""
        while not await self._follow_a_while(self.world.chance.randint(1, 12)):
            pass

    async def _follow_a_while(self, batches: int) -> bool:
        log = self.world.log
        async with self.client.subscribe(
            after=self.position, known=self.known.values(), retry=IMPATIENT, silence=SILENCE
        ) as subscription:
            while batches:
                self._store(await anext(subscription))
                end = Position(epoch=log.epoch, revision=log.head)
                if self.world.is_over and self.position == end:
                    return True
                self.world.move_on()
                batches -= 1
        return False

    def _store(self, batch: StreamBatch) -> None:
        self.position = batch.position
        for each in batch.events:
            is_raise = each.event.type == ALERT_EVENT_TYPE_RAISED
            assert is_raise == (each.event.alert.alert_id not in self.known)
            apply_event(self.known, each.event)
            self.heard.append(each)


def bad_manners(chance: random.Random) -> Manners:
    messages = chance.randint(0, 5)
    if chance.random() < 0.1:
        return Manners(messages, stall=True)
    edit = chance.choice([None, gap, repeat, loss_of(messages)])
    return Manners(messages + 1, error=chance.choice([None, Manners.error]), edit=edit)


def gap(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse:
    changed = pb.WatchEventsResponse()
    changed.CopyFrom(message)
    del changed.events[1:2]
    return changed


def repeat(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse:
    changed = pb.WatchEventsResponse()
    changed.CopyFrom(message)
    changed.events.extend(message.events[:1])
    return changed


def loss_of(which: int) -> Callable[[pb.WatchEventsResponse], pb.WatchEventsResponse | None]:
    numbers = iter(range(1_000))

    def edit(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse | None:
        return None if next(numbers) == which else message

    return edit


def state(alert: Alert) -> tuple[object, ...]:
    return (alert.status, alert.severity, alert.acknowledged_by)


async def run(seed: int, *, upheaval: float) -> Subscriber:
    log = ScriptedLog()
    world = World(log, random.Random(seed), steps_left=400, upheaval=upheaval)
    start = Position(epoch=log.epoch, revision=0)
    async with serving(log) as port, AlertClient(f"127.0.0.1:{port}") as client:
        subscriber = Subscriber(client, world, start)
        async with asyncio.timeout(60):
            await subscriber.follow()
    return subscriber


@pytest.mark.parametrize("seed", range(4))
async def test_over_every_interruption_each_event_comes_once_and_in_order(seed: int) -> None:
    subscriber = await run(seed, upheaval=0.0)

    expected = [each.event_id for each in subscriber.world.log.events]
    assert expected == [each.event.event_id for each in subscriber.heard]
    assert not any(each.synthetic for each in subscriber.heard)


@pytest.mark.parametrize("seed", range(4))
async def test_over_compactions_and_restores_what_was_told_leads_to_what_is(seed: int) -> None:
    subscriber = await run(seed, upheaval=0.15)

    expected = {each.alert_id: state(each) for each in subscriber.world.log.open}
    assert expected == {each: state(alert) for each, alert in subscriber.known.items()}
    ids = [each.event.event_id for each in subscriber.heard]
    assert len(ids) == len(set(ids))
    assert any(each.synthetic for each in subscriber.heard)
