"""How much the queue asks of the database: it does not grow with what is claimed and settled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.notify_ground import AGAIN, OK, Ground
from support.recording_sender import RecordingSender, Sent
from support.statements import RecordingDatabase
from support.waiting import eventually
from tocsin.common.clock import SystemClock
from tocsin.notify.delivery.breaker import BreakerRule
from tocsin.notify.delivery.dispatcher import Dispatcher, DispatchOptions
from tocsin.notify.delivery.health import HealthRecord, record
from tocsin.notify.domain.delivery import DeliveryState, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock

pytestmark = pytest.mark.postgres

RULE = BreakerRule()
TOO_MANY = replace(AGAIN, status_code=429, retry_after=timedelta(minutes=1))


@pytest.fixture
async def database(notify_url: str) -> AsyncIterator[RecordingDatabase]:
    recording = RecordingDatabase(notify_url)
    yield recording
    await recording.close()


@pytest.fixture
def ground(database: RecordingDatabase, clock: ManualClock) -> Ground:
    return Ground(database, clock)


@pytest.mark.parametrize("count", [1, 60])
async def test_a_claim_takes_three_statements_and_a_settle_one(
    ground: Ground, database: RecordingDatabase, count: int
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await queue.claim(channel_id, 1)  # makes the state of the channel
    await ground.raised(*range(1, count + 1))

    database.statements.clear()
    claims = await queue.claim(channel_id, 100)
    assert (count, 3) == (len(claims), len(database.statements))

    database.statements.clear()
    assert [True] * count == await queue.settle_all([(claim, OK) for claim in claims])
    assert 1 == len(database.statements)


@pytest.mark.parametrize("receipt", [AGAIN, TOO_MANY], ids=["breaker open", "asked for a pause"])
async def test_what_waits_for_an_ill_channel_is_neither_looked_at_nor_written(
    ground: Ground, database: RecordingDatabase, clock: ManualClock, receipt: Receipt
) -> None:
    channel_id = await ground.channel()
    await ground.raised(*range(1, 21))
    await record(database, channel_id, [receipt] * 5, clock.now(), RULE)
    before = await ground.rows("SELECT xmin, * FROM deliveries ORDER BY sequence")

    database.statements.clear()
    taken = await ground.queue().take(channel_id, 8)

    assert 1 == len(database.statements)  # the state of the channel
    assert () == taken.claims
    assert taken.closed_until is not None
    assert taken.closed_until > clock.now()
    assert before == await ground.rows("SELECT xmin, * FROM deliveries ORDER BY sequence")


async def test_what_is_given_back_waits_as_if_it_had_never_been_claimed(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1, 2)
    claims = await queue.claim(channel_id, 2)

    assert [True, True] == await queue.settle_all([(claim, None) for claim in claims])

    assert [(1, 0, 0, None, False)] * 2 == await ground.rows(
        "SELECT state, attempt_count, retry_count, told_as, maybe_told FROM deliveries"
    )
    assert [(0,)] == await ground.rows("SELECT count(*) FROM attempts")
    assert [1, 1] == [claim.attempt for claim in await queue.claim(channel_id, 2)]


async def test_what_is_given_back_makes_room_for_newer_news_of_its_alert(ground: Ground) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 1)
    await ground.resolved(1)

    assert [True] == await queue.settle_all([(claim, None)])
    assert [] == await queue.claim(channel_id, 1)

    ends = [DeliveryState.SUPERSEDED, DeliveryState.SUPPRESSED]
    assert ends == await ground.states(channel_id)


async def test_a_far_side_that_falls_silent_gets_back_in_line_what_was_not_begun(
    database: RecordingDatabase,
) -> None:
    ground = Ground(database, SystemClock())
    await ground.channel()
    await ground.raised(*range(1, 801))
    silent = asyncio.Event()
    mended = asyncio.Event()

    async def answer(sent: Sent) -> Receipt:
        if len(sender.begun) > 500:
            silent.set()
            await mended.wait()
        await asyncio.sleep(0)
        return OK

    sender = RecordingSender(answer)
    dispatcher = Dispatcher(
        ground.queue(),
        ground.channels,
        sender,  # type: ignore[arg-type]  # of() and close() are all that is used
        clock=ground.clock,
        options=DispatchOptions(grace=timedelta(seconds=5)),
        health=partial(HealthRecord, database, clock=ground.clock, rule=RULE),
    )
    await dispatcher.start()
    try:
        await asyncio.wait_for(silent.wait(), 60)

        async def only_what_is_sent_is_held() -> bool:
            [[sending]] = await ground.rows("SELECT count(*) FROM deliveries WHERE state = 2")
            return int(str(sending)) <= 8

        await eventually(only_what_is_sent_is_held, within=60)
        mended.set()

        async def is_over() -> bool:
            return await ground.unfinished() == 0

        await eventually(is_over, within=60)
    finally:
        mended.set()
        await dispatcher.stop()

    assert 800 == len({sent.notification.event_id for sent in sender.begun})
    # Only what was being sent when it fell silent may have been tried again.
    [[again]] = await ground.rows("SELECT count(*) FROM deliveries WHERE attempt_count > 1")
    assert int(str(again)) < 20


async def test_an_ill_channel_costs_nothing_however_often_it_is_woken(
    database: RecordingDatabase,
) -> None:
    ground = Ground(database, SystemClock())
    channel_id = await ground.channel()
    patient = BreakerRule(failures=1, shortest_pause=timedelta(hours=1))
    await record(database, channel_id, [AGAIN], ground.clock.now(), patient)
    await ground.raised(*range(1, 21))
    dispatcher = Dispatcher(
        ground.queue(),
        ground.channels,
        RecordingSender(),  # type: ignore[arg-type]  # of() and close() are all that is used
        clock=ground.clock,
        options=DispatchOptions(),
    )
    await dispatcher.start()
    try:
        await eventually(lambda: any("FOR UPDATE OF s" in s.query for s in database.statements))
        database.statements.clear()
        for _ in range(200):
            dispatcher.wake()
            await asyncio.sleep(0)
        # At most what it does every second.
        assert 5 > len(database.statements)
    finally:
        await dispatcher.stop()
    assert [(20,)] == await ground.rows("SELECT count(*) FROM deliveries WHERE state = 1")
