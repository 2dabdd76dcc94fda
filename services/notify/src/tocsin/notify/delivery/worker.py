"""The worker of one channel: claims what is due, sends it, settles it.

Each channel has a worker with its own limit of attempts at one time, so that a far side that hangs
delays nobody else. What several replicas run for one channel shares its queue.

At `stop` nothing more is claimed, attempts under way get a grace, and then they are broken off
and settled as AMBIGUOUS, so that another worker need not wait for the lease to expire.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.common.backoff import Backoff
from tocsin.common.errors import ResourceExhaustedError, UnavailableError
from tocsin.common.lifecycle import BackgroundLoop
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tocsin.common.clock import Clock
    from tocsin.notify.delivery.health import HealthRecord
    from tocsin.notify.delivery.queue import Claim, DeliveryQueue
    from tocsin.notify.delivery.sending import ChannelSending
    from tocsin.notify.store.channels import ChannelStore

_log = structlog.get_logger(__name__)

POLL = timedelta(seconds=1)
_LAST_WORD = timedelta(seconds=2)
_BACKOFF = Backoff(ceiling=timedelta(seconds=2))
_STOPPED = Receipt(AttemptOutcome.AMBIGUOUS, detail="The service was stopped while it was sending.")


class ChannelWorker:
    """Delivers for one channel, at most `concurrency` attempts at a time.

    It looks for work when woken, when an attempt ends, when something falls due, and every second.
    `limit` is how long an attempt takes at most: one that no longer fits into its lease is not
    begun. `grace` is what attempts under way get at `stop`. `health` notes how they end.
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
        self._channels = channels
        self._clock = clock
        self._concurrency = concurrency
        self._limit = limit
        self._grace = grace
        self._health = health
        self._under_way: set[asyncio.Task[None]] = set()
        self._loop = BackgroundLoop(f"channel {channel_id}", self._step)

    def wake(self) -> None:
        """Look for work now."""
        self._loop.wake()

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        """Claim no more, let attempts under way end within the grace, break off the rest."""
        await self._loop.stop()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._grace.total_seconds())
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _step(self) -> timedelta | None:
        free = self._concurrency - len(self._under_way)
        if free == 0:
            return None  # the end of an attempt wakes it
        await self._sending.warm_up()
        claims = await self._queue.claim(self.channel_id, free)
        for claim in claims:
            self._begin(claim)
        if len(claims) == free:
            return None
        due = await self._queue.next_due(self.channel_id)
        return POLL if due is None else min(POLL, due - self._clock.now())

    def _begin(self, claim: Claim) -> None:
        task = asyncio.create_task(self._deliver(claim), name=f"delivery {claim.delivery_id}")
        self._under_way.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._loop.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("delivery_failed", channel_id=str(self.channel_id), exc_info=error)

    async def _deliver(self, claim: Claim) -> None:
        if self._clock.now() + self._limit > claim.lease_expire_time:
            _log.warning("lease_too_short", delivery_id=str(claim.delivery_id))
            return  # this process stood still since the claim: whoever reclaims it sends it
        try:
            receipt = await self._sending.attempt(claim)
        except asyncio.CancelledError:
            await self._settle_in_parting(claim)
            raise
        await self._settle(claim, receipt)

    async def _settle(self, claim: Claim, receipt: Receipt) -> None:
        """Settle, for as long as it takes: the token, not the time, says whether it still may."""
        if receipt.disable_channel and not await _insist(lambda: self._disable(claim, receipt)):
            # It was changed in the meantime, and may lead elsewhere: an ordinary refusal.
            receipt = replace(receipt, disable_channel=False)
        if not await _insist(lambda: self._queue.settle(claim, receipt)):
            _log.warning("late_settle_refused", delivery_id=str(claim.delivery_id))
        elif self._health is not None:
            await self._health.note(receipt)

    async def _disable(self, claim: Claim, receipt: Receipt) -> bool:
        return await self._channels.disable(
            self.channel_id, receipt.detail, version=claim.channel_version
        )

    async def _settle_in_parting(self, claim: Claim) -> None:
        try:
            async with asyncio.timeout(_LAST_WORD.total_seconds()):
                await self._queue.settle(claim, _STOPPED)
        except (TimeoutError, UnavailableError, ResourceExhaustedError):
            _log.warning("unsettled_at_stop", delivery_id=str(claim.delivery_id))


async def _insist(call: Callable[[], Awaitable[bool]]) -> bool:
    """Make a call until the database answers it."""
    for failures in itertools.count(1):
        try:
            return await call()
        except (UnavailableError, ResourceExhaustedError):
            pause = _BACKOFF.delay(failures, random.random())  # noqa: S311 - jitter
            await asyncio.sleep(pause.total_seconds())
    raise AssertionError
