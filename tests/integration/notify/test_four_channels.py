"""One far side hangs, one fails, one asks for patience, one is well: none is in another's way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.notify_ground import AGAIN, OK, Ground
from support.recording_sender import RecordingSender, Sent
from support.waiting import eventually
from tocsin.common.clock import SystemClock
from tocsin.notify.delivery.breaker import BreakerRule
from tocsin.notify.delivery.dispatcher import Dispatcher, DispatchOptions
from tocsin.notify.delivery.health import HealthRecord
from tocsin.notify.delivery.queue import DeliveryQueue
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt

if TYPE_CHECKING:
    from uuid import UUID

    from support.figures import Figures
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

SOON = timedelta(seconds=0.05)
FAST = RetrySchedule((timedelta(), *[SOON] * 40))
RULE = BreakerRule(failures=5, shortest_pause=SOON, longest_pause=4 * SOON)
PATIENCE = Receipt(AttemptOutcome.RETRY, 429, "429 Too Many Requests", SOON)


@dataclass
class FarSides:
    """Answers for four channels. `ill` says that three of them do not work yet."""

    hanging: UUID
    failing: UUID
    busy: UUID
    well: UUID
    mended: asyncio.Event = field(default_factory=asyncio.Event)
    refused: dict[UUID, int] = field(default_factory=dict)

    async def answer(self, sent: Sent) -> Receipt:
        if sent.channel_id == self.well or self.mended.is_set():
            return OK
        self.refused[sent.channel_id] = self.refused.get(sent.channel_id, 0) + 1
        if sent.channel_id == self.hanging:
            await self.mended.wait()
            return OK
        return AGAIN if sent.channel_id == self.failing else PATIENCE


def dispatcher_of(ground: Ground, sender: RecordingSender) -> Dispatcher:
    clock, database = SystemClock(), ground.database
    queue = DeliveryQueue(
        database, clock=clock, lease=timedelta(minutes=5), schedule=FAST, roll=lambda: 0.5
    )
    return Dispatcher(
        queue,
        ground.channels,
        sender,  # type: ignore[arg-type]  # of() and close() are all that is used
        clock=clock,
        options=DispatchOptions(lease=timedelta(minutes=5), grace=timedelta(seconds=5)),
        health=partial(HealthRecord, database, clock=clock, rule=RULE),
    )


@pytest.mark.parametrize(
    "count", [150, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.long])]
)
async def test_the_healthy_one_is_told_all_while_the_others_fail_and_they_lose_nothing(
    notify_database: Database, figures: Figures, count: int
) -> None:
    ground = Ground(notify_database, SystemClock())
    hanging, failing, busy, well = [await ground.channel() for _ in range(4)]
    far_sides = FarSides(hanging, failing, busy, well)
    sender = RecordingSender(far_sides.answer)
    dispatcher = dispatcher_of(ground, sender)
    await ground.raised(*range(1, count + 1))

    await dispatcher.start()
    try:

        def heard(channel_id: UUID) -> int:
            return len(
                {
                    s.notification.event_id
                    for s, r in sender.ended
                    if r is OK and s.channel_id == channel_id
                }
            )

        await sender.until(lambda: len(sender.told(well)) == count, within=120)
        # Nothing of the others has arrived, and hardly anything was tried.
        assert [0, 0, 0] == [heard(each) for each in (hanging, failing, busy)]
        assert far_sides.refused[hanging] < 30
        far_sides.mended.set()
        dispatcher.wake()

        async def is_over() -> bool:
            return await ground.unfinished() == 0

        await eventually(is_over, within=120)
    finally:
        await dispatcher.stop()
    lost = {each: count - heard(each) for each in (hanging, failing, busy, well)}
    figures.record(
        fault="far sides",
        messages_for_each=count,
        refused_until_mended=sum(far_sides.refused.values()),
        lost=sum(lost.values()),
    )
    for channel_id in (hanging, failing, busy, well):
        assert count == heard(channel_id)
        assert {DeliveryState.DELIVERED} == set(await ground.states(channel_id))


async def test_a_far_side_that_is_down_is_tried_less_often_than_messages_wait(
    notify_database: Database,
) -> None:
    ground = Ground(notify_database, SystemClock())
    channel_id = await ground.channel()

    async def down(_sent: Sent) -> Receipt:
        return AGAIN

    sender = RecordingSender(down)
    dispatcher = dispatcher_of(ground, sender)
    await ground.raised(*range(1, 201))
    await dispatcher.start()
    try:

        async def failures() -> int:
            [[count]] = await ground.rows(
                "SELECT coalesce(max(failure_count), 0) FROM channel_states"
            )
            assert isinstance(count, int)
            return count if count >= 11 else 0

        await eventually(failures, within=60)
    finally:
        await dispatcher.stop()

    # Eight are under way when it opens; then there is one at a time.
    assert len(sender.told(channel_id)) < 100
