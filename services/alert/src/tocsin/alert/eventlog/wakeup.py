"""Tells the other servers that the log has grown: a NOTIFY after the commit, many made into one.

It is a hint and may be lost. It bears the name of its sender, who knows already. It never goes
inside a transaction that writes: a commit with a NOTIFY takes a lock that is global to the
PostgreSQL server.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.common.ids import uuid7
from tocsin.common.lifecycle import BackgroundLoop

if TYPE_CHECKING:
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database

CHANNEL = "tocsin_alert_events"

# A hint that a crash loses harms nobody, and a commit that is not waited for is no flush of the log
# of PostgreSQL that those of the ledger would have to wait for. It holds for this statement alone.
_NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"


class Wakeup:
    """Sends a NOTIFY at once when asked, then none for `pause`, however often it is asked."""

    def __init__(
        self,
        database: Database,
        *,
        pause: timedelta = timedelta(milliseconds=20),
        new_id: NewId = uuid7,
    ) -> None:
        self._database = database
        self._name = str(new_id())
        self._pause = pause.total_seconds()
        self._loop = BackgroundLoop("eventlog-wakeup", self._step, grace=timedelta())

    def poke(self) -> None:
        """Ask for a NOTIFY soon. Never blocks, never fails."""
        self._loop.wake()

    def is_from_here(self, payload: str) -> bool:
        """Whether this process has sent a NOTIFY with this payload."""
        return payload == self._name

    @property
    def loop(self) -> BackgroundLoop:
        """What takes its steps."""
        return self._loop

    async def start(self) -> None:
        """Begin, with one NOTIFY that nobody asked for."""
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def _step(self) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_NOTIFY, CHANNEL, self._name)
        await asyncio.sleep(self._pause)
