"""Pages of the log for subscribers that are behind what is kept in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from tocsin.alert.eventlog import log
from tocsin.alert.eventlog.checks import entries_after, epoch_changed
from tocsin.alert.eventlog.run import Run
from tocsin.common.errors import DataLossError

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.common.postgres.engine import Database

# Of the connections for reading: the rest are for calls.
_PAGES_AT_ONCE = 3
_PAGES_KEPT = 8


class Pages:
    """Reads pages of at most `entries`, and no more once their frames reach `max_bytes`.

    A page ends where a multiple of `entries` does, so subscribers that began anywhere come to
    ask for the same pages; one that several ask for at about the same time is read once. The
    last few are kept for those who come right behind, except the end of the log, which grows.
    """

    def __init__(
        self, database: Database, broadcast: Broadcast, *, entries: int, max_bytes: int
    ) -> None:
        self._database = database
        self._broadcast = broadcast
        self._entries = entries
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(_PAGES_AT_ONCE)
        self._kept: OrderedDict[tuple[UUID, int], Run] = OrderedDict()
        self._turns: WeakValueDictionary[tuple[UUID, int], asyncio.Lock] = WeakValueDictionary()

    async def bounds(self) -> log.Bounds:
        """Return what the log holds now."""
        async with self._slots, self._database.connection() as connection:
            return await log.bounds(connection)

    async def after(self, epoch: UUID, revision: int) -> tuple[Run, int]:
        """Return what follows a revision, and the least that the head of the log was then.

        Raises FailedPreconditionError (EPOCH_CHANGED), OutOfRangeError (REVISION_COMPACTED,
        REVISION_FUTURE), DataLossError (LOG_BROKEN), UnavailableError.
        """
        key = (epoch, revision)
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:  # a reader that is cancelled leaves it to the next
            if (kept := self._kept.get(key)) is not None:
                return kept, kept.last + 1
            page = await self._read(epoch, revision)
            run = Run(epoch, revision, self._whole(page, revision))
            if run.entries and run.last < page.head:
                self._keep(key, run)
        return run, page.head

    async def _read(self, epoch: UUID, revision: int) -> log.Page:
        limit = self._entries - revision % self._entries
        async with self._slots, self._database.connection() as connection:
            page = await log.read(connection, revision, limit, self._max_bytes)
        if page.epoch != epoch:
            raise epoch_changed(page.epoch)
        return page

    def _whole(self, page: log.Page, revision: int) -> tuple[log.Entry, ...]:
        try:
            return entries_after(page, revision)
        except DataLossError:
            self._broadcast.gaps_found += 1
            raise

    def _keep(self, key: tuple[UUID, int], run: Run) -> None:
        self._kept[key] = run
        if len(self._kept) > _PAGES_KEPT:
            self._kept.popitem(last=False)
