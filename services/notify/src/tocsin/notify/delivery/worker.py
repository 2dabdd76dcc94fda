"""The worker of one channel: claims what is due, sends it, has it settled.

Each channel has a worker with its own limit of attempts at one time, so that a far side that hangs
delays nobody else. What several replicas run for one channel shares its queue. A worker claims
more than it sends at one time where the far side takes one message after the other: see `pace`.
What it has claimed and cannot begin soon it gives back.

At `stop` nothing more is claimed or begun, attempts under way get a grace, and then they are broken
off and settled as AMBIGUOUS, so that another worker need not wait for the lease to expire.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bind_contextvars

from tocsin.common.lifecycle import BackgroundLoop
from tocsin.notify.delivery.pace import Pace
from tocsin.notify.delivery.recording import Recorder
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from tocsin.common.clock import Clock
    from tocsin.notify.delivery.health import HealthRecord
    from tocsin.notify.delivery.queue import Claim, DeliveryQueue, Taken
    from tocsin.notify.delivery.recording import Ended
    from tocsin.notify.delivery.sending import ChannelSending
    from tocsin.notify.store.channels import ChannelStore

_log = structlog.get_logger(__name__)

POLL = timedelta(seconds=1)
_LAST_WORD = timedelta(seconds=2)
_STOPPED = Receipt(AttemptOutcome.AMBIGUOUS, detail="The service was stopped while it was sending.")


class ChannelWorker:
    """Delivers for one channel, at most `concurrency` attempts at a time.

    It looks for work when woken, when something that has ended makes room or may have let
    something through, when something falls due, and every second. `limit` is how long an attempt
    takes at most: one that no longer fits into its lease is not begun. `grace` is what attempts
    under way get at `stop`. `health` notes how they end.
    """

    def __init__(
        self,
        channel_id: UUID,
        *,
        queue: DeliveryQueue,
        sending: ChannelSending,
        channels: ChannelStore,
        clock: Clock,
        concurrency: int,
        limit: timedelta,
        grace: timedelta,
        health: HealthRecord | None = None,
    ) -> None:
        self.channel_id = channel_id
        self._queue = queue
        self._sending = sending
        self._clock = clock
        self._concurrency = concurrency
        self._limit = limit
        self._grace = grace
        self._pace = Pace(concurrency)
        self._claimed: deque[Claim] = deque()
        self._claimed_since = clock.now()
        self._hands: set[asyncio.Task[None]] = set()
        self._under_way = 0
        # Whether something may be due; whether something came while others were in hand, and may
        # wait behind one of them; until when nothing may be sent.
        self._is_hungry = True
        self._may_be_behind = False
        self._closed_until: datetime | None = None
        self._recorder = Recorder(
            channel_id,
            queue=queue,
            channels=channels,
            health=health,
            on_recorded=self._on_recorded,
        )
        self._loop = BackgroundLoop(f"channel {channel_id}", self._step)

    def wake(self) -> None:
        """Look for work now."""
        self._is_hungry = True
        self._may_be_behind = self._in_hand > 0
        self._loop.wake()

    def refresh(self) -> None:
        """Look for work now, also where nothing could be sent until later: it was changed."""
        self._closed_until = None
        self.wake()

    def heed(self, version: int) -> None:
        """Give back what was claimed for an earlier version of the channel and is not begun."""
        if any(claim.channel_version < version for claim in self._claimed):
            self._give_back(len(self._claimed))

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        """Claim no more, let attempts under way end within the grace, break off the rest."""
        await self._loop.stop()
        self._give_back(len(self._claimed))
        if self._hands:
            await asyncio.wait(self._hands, timeout=self._grace.total_seconds())
        for task in self._hands:
            task.cancel()
        if self._hands:
            await asyncio.wait(self._hands)
        await self._recorder.finish(_LAST_WORD)

    @property
    def _in_hand(self) -> int:
        return len(self._claimed) + self._under_way + self._recorder.unwritten

    async def _step(self) -> timedelta | None:
        now = self._clock.now()
        if self._claimed and now - self._claimed_since > POLL:
            self._pace.doubt()
            self._give_back(len(self._claimed))
        if self._closed_until is not None and now < self._closed_until:
            return min(POLL, self._closed_until - now)
        room = self._pace.in_hand - self._in_hand
        is_busy = self._in_hand >= self._concurrency
        if room <= 0 or (is_busy and 2 * room < self._pace.in_hand):
            return POLL  # what ends wakes it, but only where more may be due
        if self._is_hungry or await self._is_something_due():
            return await self._take(room)
        return await self._until_due()

    async def _take(self, room: int) -> timedelta | None:
        await self._sending.warm_up()
        self._is_hungry = False
        try:
            taken = await self._queue.take(self.channel_id, room)
        except BaseException:
            self._is_hungry = True
            raise
        self._begin(taken)
        if taken.closed_until is not None:
            return self._closed(taken.closed_until)
        if taken.is_all:
            return await self._until_due()
        self._is_hungry = True
        return POLL

    def _closed(self, until: datetime) -> timedelta:
        """Ask for nothing until then; but another replica may open it again before."""
        now = self._clock.now()
        self._is_hungry = True
        self._closed_until = min(until, now + POLL)
        return max(timedelta(), self._closed_until - now)

    async def _is_something_due(self) -> bool:
        first = await self._queue.first_due(self.channel_id)
        return first is not None and first <= self._clock.now()

    async def _until_due(self) -> timedelta:
        due = await self._queue.next_due(self.channel_id)
        return POLL if due is None else min(POLL, due - self._clock.now())

    def _begin(self, taken: Taken) -> None:
        if not self._claimed:
            self._claimed_since = self._clock.now()
        self._claimed += taken.claims
        # One that has ended is among the hands until its callback is called.
        busy = sum(not hand.done() for hand in self._hands)
        for _ in range(min(self._concurrency - busy, len(self._claimed))):
            task = asyncio.create_task(self._send(), name=f"channel {self.channel_id}")
            self._hands.add(task)
            task.add_done_callback(self._hands.discard)

    async def _send(self) -> None:
        """Send what is claimed, one after the other, until there is no more."""
        while self._claimed:
            claim = self._claimed.popleft()
            self._claimed_since = self._clock.now()
            if self._claimed_since + self._limit > claim.lease_expire_time:
                _log.warning("lease_too_short", delivery_id=str(claim.delivery_id))
                self._recorder.add((claim, None))  # this process stood still since the claim
                self._pace.doubt()
                continue
            receipt = await self._attempt(claim)
            self._recorder.add((claim, receipt))
            beyond = self._in_hand - self._pace.in_hand
            self._give_back(len(self._claimed) if receipt.disable_channel else beyond)

    async def _attempt(self, claim: Claim) -> Receipt:
        # What is logged in this task from here on is about this one.
        bind_contextvars(delivery_id=str(claim.delivery_id))
        self._under_way += 1
        try:
            receipt = await self._sending.attempt(claim)
        except asyncio.CancelledError:
            self._recorder.add((claim, _STOPPED))
            raise
        finally:
            self._under_way -= 1
        self._pace.note(receipt)
        return receipt

    def _give_back(self, count: int) -> None:
        """Give back so many of the claims that are not begun, the last ones."""
        for _ in range(min(count, len(self._claimed))):
            self._recorder.add((self._claimed.pop(), None))

    def _on_recorded(self, recorded: Sequence[Ended]) -> None:
        """Look again where what has ended may let something through, or is to be tried again."""
        is_open = all(
            receipt is not None and receipt.outcome is AttemptOutcome.DELIVERED
            for _, receipt in recorded
        )
        if not is_open or self._may_be_behind:
            self._is_hungry = True
            self._closed_until = None
        if self._in_hand == 0:
            self._may_be_behind = False
        if self._is_hungry:
            self._loop.wake()
