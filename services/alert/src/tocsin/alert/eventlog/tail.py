"""Follows the end of the log, once for all subscribers of this process.

Told of the own commits, woken by NOTIFY, and by a poll always: the rows are the truth. What this
process has committed itself need not be read back when it is what comes next.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.eventlog import identity, log
from tocsin.alert.eventlog.edge import Edge, Next
from tocsin.common.backoff import Backoff
from tocsin.common.ids import uuid7
from tocsin.common.lifecycle import BackgroundLoop

if TYPE_CHECKING:
    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.eventlog.log import Appended
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database

_PAGE_ENTRIES = 1_000
_PAGE_BYTES = 4 * 2**20
_BACKOFF = Backoff(ceiling=timedelta(seconds=2))


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
        self._edge = Edge(broadcast)
        self._new_id = new_id
        self._poll = poll
        self._loop = BackgroundLoop("eventlog-tail", self._step, backoff=_BACKOFF)
        self._is_open = False

    @property
    def running(self) -> bool:
        """Whether the end of the log has been read and nothing has failed since."""
        return self._broadcast.is_live

    def take(self, appended: Appended) -> None:
        """Publish what this process has committed, or look at the log soon.

        Never blocks, never fails. Call it after the commit, and for nothing that was not committed.
        """
        if not self._edge.take_commit(appended):
            self.wake()

    def wake(self) -> None:
        """Look at the log soon. Never blocks, never fails."""
        self._loop.wake()

    @property
    def loop(self) -> BackgroundLoop:
        """What takes its steps."""
        return self._loop

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
            following = self._edge.take_page(page, after)
            if following is Next.RENEW:
                await identity.renew(self._database, self._new_id, instead_of=page.epoch)
            elif following is Next.REST:
                return

    async def _open(self) -> None:
        epoch = await identity.settle(self._database, self._new_id)
        if epoch != self._broadcast.epoch:
            async with self._database.connection() as connection:
                end = await log.head(connection)
            self._edge.begin(end.epoch, end.revision)
        self._is_open = True
