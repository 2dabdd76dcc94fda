"""Forgets what was over long ago, so that a service that is left to itself fills no disk."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.common.lifecycle import BackgroundLoop
from tocsin.notify.store.retention import prune, prune_silences

if TYPE_CHECKING:
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

_log = structlog.get_logger(__name__)

SWEEP_EVERY = timedelta(hours=1)
# Between two pages, so that a long sweep stands in nobody's way.
_BREATH = timedelta(milliseconds=50)
_AT_ONCE = 500


class Retention:
    """Goes over the events, the oldest first, once an hour.

    An alert's events and deliveries are forgotten when all of them were over `keep` ago.
    """

    def __init__(
        self, database: Database, *, clock: Clock, keep: timedelta, at_once: int = _AT_ONCE
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep = keep
        self._at_once = at_once
        self._after = 0
        self._forgotten = 0
        self._loop = BackgroundLoop("retention", self._step)

    @property
    def loop(self) -> BackgroundLoop:
        """What takes its steps."""
        return self._loop

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def _step(self) -> timedelta:
        cutoff = self._clock.now() - self._keep
        pruned = await prune(self._database, cutoff, after=self._after, limit=self._at_once)
        self._forgotten += pruned.events
        if pruned.go_on_after is not None:
            self._after = pruned.go_on_after
            return _BREATH
        if self._forgotten:
            _log.info("old_events_forgotten", count=self._forgotten)
        self._after = self._forgotten = 0
        await prune_silences(self._database, cutoff)
        return SWEEP_EVERY
