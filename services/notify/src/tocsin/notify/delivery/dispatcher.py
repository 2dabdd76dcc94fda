"""Keeps a worker for every enabled channel, and reclaims what lost workers left behind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.common.lifecycle import BackgroundLoop
from tocsin.notify.channels.base import SEND_SECONDS
from tocsin.notify.delivery.sending import ChannelSending
from tocsin.notify.delivery.worker import POLL, ChannelWorker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.registry import Senders
    from tocsin.notify.delivery.health import HealthRecord
    from tocsin.notify.delivery.queue import DeliveryQueue
    from tocsin.notify.store.channels import ChannelStore

_log = structlog.get_logger(__name__)

_BEYOND_THE_SENDERS = timedelta(seconds=SEND_SECONDS + 2)
_OF_THE_LEASE = 0.8


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """How the workers work. `concurrency` is per channel; `grace` is for the end."""

    lease: timedelta = timedelta(seconds=30)
    concurrency: int = 8
    grace: timedelta = timedelta(seconds=10)

    @property
    def limit(self) -> timedelta:
        """How long an attempt may take: a little more than a sender allows itself, and never
        as long as the lease.
        """
        return min(_BEYOND_THE_SENDERS, self.lease * _OF_THE_LEASE)


async def _at_once() -> bool:
    return True


class Dispatcher:
    """Runs the workers.

    `ready` is asked, until it says so once, whether they may begin: see `store.catching_up`.
    `health` returns what notes how the attempts of a channel end.
    """

    def __init__(
        self,
        queue: DeliveryQueue,
        channels: ChannelStore,
        senders: Senders,
        *,
        clock: Clock,
        options: DispatchOptions,
        ready: Callable[[], Awaitable[bool]] = _at_once,
        health: Callable[[UUID], HealthRecord] | None = None,
    ) -> None:
        self._queue = queue
        self._channels = channels
        self._senders = senders
        self._clock = clock
        self._options = options
        self._ready = ready
        self._health = health
        self._is_ready = False
        self._works = False
        self._workers: dict[UUID, ChannelWorker] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._loop = BackgroundLoop("dispatcher", self._step)

    @property
    def works(self) -> bool:
        """Whether it runs, and its last look at the database was answered."""
        return self._works and self._loop.is_running

    @property
    def loop(self) -> BackgroundLoop:
        """What takes its steps."""
        return self._loop

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        """Stop all workers, together."""
        await self._loop.stop()
        self._is_ready = False
        for channel_id in list(self._workers):
            self._dismiss(channel_id)
        if self._leaving:
            await asyncio.wait(self._leaving)

    def wake(self) -> None:
        """Say that there may be something new to deliver."""
        if not self._is_ready:
            self._loop.wake()
        for worker in self._workers.values():
            worker.wake()

    def refresh(self) -> None:
        """Say that a channel was created, changed or deleted, or a delivery put back in line."""
        self._loop.wake()
        for worker in self._workers.values():
            worker.refresh()

    async def _step(self) -> timedelta:
        try:
            self._is_ready = self._is_ready or await self._ready()
            if self._is_ready:
                await self._staff()
            await self._reclaim()
        except Exception:
            self._works = False
            raise
        self._works = True
        return POLL

    async def _staff(self) -> None:
        channels = await self._channels.list_enabled()
        enabled = {channel.channel_id: channel.version for channel in channels}
        for channel_id in self._workers.keys() - enabled.keys():
            self._dismiss(channel_id)
        for channel_id, version in enabled.items():
            if channel_id in self._workers:
                self._workers[channel_id].heed(version)
            else:
                await self._employ(channel_id)

    async def _reclaim(self) -> None:
        believed_no_more = await self._queue.disbelieve_future()
        if believed_no_more:
            _log.warning("clock_went_back", due_now=believed_no_more)
            self.refresh()
        reclaimed = await self._queue.reclaim_lost()
        if reclaimed:
            _log.warning("lost_deliveries_reclaimed", count=reclaimed)
            self.wake()

    async def _employ(self, channel_id: UUID) -> None:
        sending = ChannelSending(
            channel_id,
            channels=self._channels,
            senders=self._senders,
            limit=self._options.limit,
        )
        worker = ChannelWorker(
            channel_id,
            queue=self._queue,
            sending=sending,
            channels=self._channels,
            clock=self._clock,
            concurrency=self._options.concurrency,
            limit=self._options.limit,
            grace=self._options.grace,
            health=None if self._health is None else self._health(channel_id),
        )
        self._workers[channel_id] = worker
        await worker.start()

    def _dismiss(self, channel_id: UUID) -> None:
        """Stop a worker without waiting for its attempts under way."""
        task = asyncio.create_task(self._workers.pop(channel_id).stop())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
