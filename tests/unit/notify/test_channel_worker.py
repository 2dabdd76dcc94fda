"""The worker of one channel, with a queue and a far side that do as the test says."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest

from support.clock import ManualClock
from support.waiting import eventually
from tocsin.notify.delivery.queue import Claim, Taken
from tocsin.notify.delivery.worker import ChannelWorker
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.delivery.recording import Ended

OK = Receipt(AttemptOutcome.DELIVERED, 204)
GONE = Receipt(AttemptOutcome.REFUSED, 410, disable_channel=True)
LEASE = timedelta(seconds=30)
LIMIT = timedelta(seconds=12)
# A worker that sends one at a time trusts a far side with four after so many.
OF_TRUST = 16


class Clock(ManualClock):
    """Counts how often it is looked at."""

    looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return super().now()


class Queue:
    """Gives out what is due; `may_take` and `may_settle` hold its answers back."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.due = deque[Claim]()
        self.given_back: list[Claim] = []
        self.settled: list[Claim] = []
        self.taking = 0
        self.next_time: datetime | None = None
        self.may_take = asyncio.Event()
        self.may_settle = asyncio.Event()
        self.may_take.set()
        self.may_settle.set()

    def put(self, count: int, version: int = 1) -> None:
        until = self._clock.now() + LEASE
        self.due += [
            Claim(uuid4(), uuid4(), 1, 0, until, version, message=None) for _ in range(count)
        ]

    async def take(self, _channel_id: UUID, room: int) -> Taken:
        self.taking += 1
        await self.may_take.wait()
        claims = tuple(self.due.popleft() for _ in range(min(room, len(self.due))))
        return Taken(claims, is_all=len(claims) < room)

    async def settle_all(self, ended: Sequence[Ended]) -> list[bool]:
        await self.may_settle.wait()
        self.settled += [claim for claim, receipt in ended if receipt is not None]
        self.given_back += [claim for claim, receipt in ended if receipt is None]
        return [True] * len(ended)

    async def first_due(self, _channel_id: UUID) -> datetime | None:
        return self._clock.now() if self.due else None

    async def next_due(self, _channel_id: UUID) -> datetime | None:
        return self.next_time


class FarSide:
    """Answers with `receipt`, once it may."""

    def __init__(self) -> None:
        self.receipt = OK
        self.begun: list[Claim] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def warm_up(self) -> None:
        pass

    async def attempt(self, claim: Claim) -> Receipt:
        self.begun.append(claim)
        await self.may_answer.wait()
        return self.receipt


class Channels:
    """Disables, unless it must not."""

    def __init__(self) -> None:
        self.fails = False

    async def disable(self, *_: object, **__: object) -> bool:
        if self.fails:
            raise LookupError
        return True


class Bench:
    """A worker that sends one at a time and has come to hold four."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.queue = Queue(self.clock)
        self.far_side = FarSide()
        self.channels = Channels()
        self.worker = ChannelWorker(
            uuid4(),
            queue=cast("Any", self.queue),
            sending=cast("Any", self.far_side),
            channels=cast("Any", self.channels),
            clock=self.clock,
            concurrency=1,
            limit=LIMIT,
            grace=timedelta(),
        )

    async def settled(self, count: int) -> None:
        await eventually(lambda: len(self.queue.settled) >= count)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.queue.put(OF_TRUST)
    await bench.worker.start()
    await bench.settled(OF_TRUST)
    yield bench
    bench.queue.may_settle.set()
    bench.queue.may_take.set()
    await bench.worker.stop()


async def test_what_falls_due_while_all_hands_are_full_is_sent_though_nobody_says_so(
    bench: Bench,
) -> None:
    bench.queue.may_settle.clear()
    bench.queue.next_time = bench.clock.now() + timedelta(milliseconds=10)
    bench.queue.put(3)
    bench.worker.wake()
    await eventually(lambda: len(bench.far_side.begun) == OF_TRUST + 3)
    looks = bench.clock.looks
    # It looks again, and finds that what it holds is not written down yet.
    await eventually(lambda: bench.clock.looks > looks)
    bench.queue.next_time = None
    bench.queue.may_settle.set()
    await bench.settled(OF_TRUST + 3)

    bench.queue.put(1)

    await bench.settled(OF_TRUST + 4)


async def test_what_comes_just_as_the_last_attempt_ends_is_sent(bench: Bench) -> None:
    bench.far_side.may_answer.clear()
    bench.queue.put(1)
    bench.worker.wake()
    await eventually(lambda: len(bench.far_side.begun) == OF_TRUST + 1)
    taken = bench.queue.taking
    bench.queue.may_take.clear()
    bench.worker.wake()
    await eventually(lambda: bench.queue.taking > taken)
    bench.queue.put(3)

    bench.far_side.may_answer.set()
    bench.queue.may_take.set()

    await bench.settled(OF_TRUST + 4)
    assert [] == bench.queue.given_back


async def test_what_waits_in_hand_behind_a_far_side_that_hangs_is_given_back(bench: Bench) -> None:
    bench.far_side.may_answer.clear()
    bench.queue.put(4)
    bench.worker.wake()
    await eventually(lambda: len(bench.far_side.begun) == OF_TRUST + 1)

    bench.clock.advance(seconds=2)

    await eventually(lambda: len(bench.queue.given_back) == 3)


async def test_what_waits_in_hand_for_a_channel_that_was_changed_is_given_back(
    bench: Bench,
) -> None:
    bench.far_side.may_answer.clear()
    bench.queue.put(4)
    bench.worker.wake()
    await eventually(lambda: len(bench.far_side.begun) == OF_TRUST + 1)

    bench.worker.heed(1)
    bench.worker.heed(2)

    await eventually(lambda: len(bench.queue.given_back) == 3)


async def test_nothing_more_is_sent_to_a_far_side_that_is_gone(bench: Bench) -> None:
    bench.far_side.receipt = GONE
    bench.queue.put(4)
    bench.worker.wake()

    await eventually(lambda: len(bench.queue.given_back) == 3)
    assert OF_TRUST + 1 == len(bench.far_side.begun)


async def test_what_has_ended_is_written_down_also_when_its_channel_cannot_be_disabled(
    bench: Bench,
) -> None:
    bench.far_side.receipt = GONE
    bench.channels.fails = True
    bench.queue.put(1)
    bench.worker.wake()

    await bench.settled(OF_TRUST + 1)
