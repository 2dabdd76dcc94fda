"""Follows the end of the log, once for all subscribers of this process.

Woken by the own commits, by NOTIFY, and by a poll always: the rows are the truth, a wake-up is
only a hint to look sooner.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.alert.eventlog import identity, log
from tocsin.alert.eventlog.checks import broken, entries_after
from tocsin.common.backoff import Backoff
from tocsin.common.errors import DataLossError, OutOfRangeError
from tocsin.common.ids import uuid7
from tocsin.common.lifecycle import BackgroundLoop

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.eventlog.log import Page
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database

_PAGE_ENTRIES = 1_000
_PAGE_BYTES = 4 * 2**20
_BACKOFF = Backoff(ceiling=timedelta(seconds=2))

_log = structlog.get_logger(__name__)


class Tail:
    """Reads what is new in the log and publishes it.

    It settles the log's epoch when it starts and whenever a read finds the log moved, and begins
    anew at the end of the log then. After a failure it tries again within 2 s.
    """

    def __init__(
        self,
        database: Database,
        broadcast: Broadcast,
        *,
        new_id: NewId = uuid7,
        poll: timedelta = timedelta(seconds=1),
    ) -> None:
        self._database = database
        self._broadcast = broadcast
        self._new_id = new_id
        self._poll = poll
        self._loop = BackgroundLoop("eventlog-tail", self._step, backoff=_BACKOFF)
        self._is_open = False

    @property
    def running(self) -> bool:
        """Whether the end of the log has been read and nothing has failed since."""
        return self._broadcast.is_live

    def wake(self) -> None:
        """Look at the log soon. Never blocks, never fails."""
        self._loop.wake()

    async def start(self) -> None:
        """Begin to follow, in the background: see `running`."""
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()
        self._broadcast.is_live = False

    async def _step(self) -> timedelta:
        try:
            await self._follow()
        except Exception as error:
            self._broadcast.is_live = False
            self._is_open = self._is_open and not isinstance(error, identity.UnsettledLogError)
            raise
        self._broadcast.is_live = True
        return self._poll

    async def _follow(self) -> None:
        if not self._is_open:
            await self._open()
        while True:
            after = self._broadcast.head
            async with self._database.connection() as connection:
                page = await log.read(connection, after, _PAGE_ENTRIES, _PAGE_BYTES)
            if page.epoch != self._broadcast.epoch:
                self._begin(page.epoch, page.head)
            elif not await self._take(page, after):
                return

    async def _open(self) -> None:
        epoch = await identity.settle(self._database, self._new_id)
        if epoch != self._broadcast.epoch:
            async with self._database.connection() as connection:
                end = await log.head(connection)
            self._begin(end.epoch, end.revision)
        self._is_open = True

    def _begin(self, epoch: UUID, head: int) -> None:
        self._broadcast.open(epoch, head)
        _log.info("log_opened", epoch=str(epoch), head=head)

    async def _take(self, page: Page, after: int) -> bool:
        """Publish a page and return whether there is more to read."""
        try:
            entries = entries_after(page, after)
        except OutOfRangeError:
            await self._skip(page, after)
            return True
        except DataLossError:
            self._stop_at_gap(page, after)
            raise
        if self._broadcast.failed:  # the gap is no more
            self._broadcast.open(page.epoch, after)
        if entries:
            self._broadcast.publish(entries)
        return self._broadcast.head < page.head

    async def _skip(self, page: Page, after: int) -> None:
        """Go on where the log begins, or, when it has lost its end, under a new epoch."""
        if page.head >= after:
            _log.warning("tail_overtaken_by_compaction", after=after, oldest=page.oldest)
            self._broadcast.open(page.epoch, page.oldest - 1)
            return
        _log.error("log_lost_its_end", after=after, head=page.head)
        await identity.renew(self._database, self._new_id, instead_of=page.epoch)

    def _stop_at_gap(self, page: Page, after: int) -> None:
        if not self._broadcast.failed:
            self._broadcast.gaps_found += 1
            _log.error("log_broken", after=after, head=page.head)
            self._broadcast.fail(lambda: broken(after, page))
