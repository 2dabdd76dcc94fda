"""What became of the attempts of one channel is written down, while others go on.

Whatever has ended while something is being written is written together next.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.common.backoff import Backoff
from tocsin.common.errors import ResourceExhaustedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from tocsin.notify.delivery.health import HealthRecord
    from tocsin.notify.delivery.queue import Claim, DeliveryQueue
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.store.channels import ChannelStore

    Ended = tuple[Claim, Receipt | None]
    """A claim and what its attempt met; None when it was not begun and is given back."""

_log = structlog.get_logger(__name__)

_BACKOFF = Backoff(ceiling=timedelta(seconds=2))
_AWAY = (UnavailableError, ResourceExhaustedError)


class Recorder:
    """Settles for one channel, for as long as it takes: the token says whether it still may.

    `health` notes how attempts ended. `on_recorded` is called with what was written.
    """

    def __init__(
        self,
        channel_id: UUID,
        *,
        queue: DeliveryQueue,
        channels: ChannelStore,
        health: HealthRecord | None,
        on_recorded: Callable[[Sequence[Ended]], None],
    ) -> None:
        self._channel_id = channel_id
        self._queue = queue
        self._channels = channels
        self._health = health
        self._on_recorded = on_recorded
        self._ended: list[Ended] = []
        self._being_written = 0
        self._writer: asyncio.Task[None] | None = None

    @property
    def unwritten(self) -> int:
        """How many have ended and are not yet written down."""
        return len(self._ended) + self._being_written

    def add(self, *ended: Ended) -> None:
        """Have these written down."""
        self._ended += ended
        if self._ended and (self._writer is None or self._writer.done()):
            name = f"records {self._channel_id}"
            self._writer = asyncio.create_task(self._write(), name=name)

    async def finish(self, patience: timedelta) -> None:
        """Wait until all is written; what is not by then is left to whoever reclaims it."""
        if self._writer is None:
            return
        await asyncio.wait({self._writer}, timeout=patience.total_seconds())
        self._writer.cancel()
        await asyncio.wait({self._writer})
        if self.unwritten:
            _log.warning(
                "unsettled_at_stop", channel_id=str(self._channel_id), count=self.unwritten
            )

    async def _write(self) -> None:
        while self._ended:
            batch, self._ended = self._ended, []
            self._being_written = len(batch)
            try:
                await self._record(batch)
            except Exception:  # noqa: BLE001 - a bug must not keep what ends later from its record
                _log.exception("record_failed", channel_id=str(self._channel_id))
            self._being_written = 0
            self._on_recorded(batch)

    async def _record(self, batch: Sequence[Ended]) -> None:
        batch = [(claim, await self._after_disabling(claim, receipt)) for claim, receipt in batch]
        waiting, settled = batch, []
        failures = 0
        while waiting:
            if failures:
                await self._pause(failures)
            results = await self._queue.settle_all(waiting)
            pairs = list(zip(waiting, results, strict=True))
            waiting = [ended for ended, result in pairs if isinstance(result, _AWAY)]
            settled += [receipt for (_, receipt), result in pairs if result is True]
            failures += 1
            self._tell([(claim, result) for (claim, _), result in pairs])
        if self._health is not None and (receipts := [each for each in settled if each]):
            await self._health.note(*receipts)

    def _tell(self, results: Sequence[tuple[Claim, bool | BaseException]]) -> None:
        for claim, result in results:
            if result is False:
                _log.warning("late_settle_refused", delivery_id=str(claim.delivery_id))
            elif isinstance(result, BaseException) and not isinstance(result, _AWAY):
                _log.error("delivery_failed", delivery_id=str(claim.delivery_id), exc_info=result)

    async def _after_disabling(self, claim: Claim, receipt: Receipt | None) -> Receipt | None:
        """Disable the channel where the far side asks for it."""
        if receipt is None or not receipt.disable_channel:
            return receipt
        try:
            if await self._insist(lambda: self._disable(claim, receipt)):
                return receipt
        except Exception:  # noqa: BLE001 - what ended with it must be written down all the same
            _log.exception("channel_not_disabled", channel_id=str(self._channel_id))
        # It was changed in the meantime, and may lead elsewhere: an ordinary refusal.
        return replace(receipt, disable_channel=False)

    async def _disable(self, claim: Claim, receipt: Receipt) -> bool:
        return await self._channels.disable(
            self._channel_id, receipt.detail, version=claim.channel_version
        )

    async def _insist(self, call: Callable[[], Awaitable[bool]]) -> bool:
        """Make a call until the database answers it."""
        failures = 0
        while True:
            try:
                return await call()
            except _AWAY:
                failures += 1
                await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        pause = _BACKOFF.delay(failures, random.random())  # noqa: S311 - jitter
        await asyncio.sleep(pause.total_seconds())
