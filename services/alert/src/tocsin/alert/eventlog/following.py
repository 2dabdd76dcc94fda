"""One process's end of the log: it publishes what is committed anywhere, and tells the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.eventlog.tail import Tail
from tocsin.alert.eventlog.wakeup import CHANNEL, Wakeup
from tocsin.common.postgres.listener import Listener

if TYPE_CHECKING:
    from datetime import timedelta

    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.eventlog.log import Appended
    from tocsin.common.lifecycle import Lifecycle
    from tocsin.common.postgres.engine import Database


class Following:
    """The tail, what wakes it, and what wakes the tails of other processes.

    `direct_url` leads to the same database without a pooler: it is listened on. `pause` is the
    least between two NOTIFYs.
    """

    def __init__(
        self, database: Database, broadcast: Broadcast, *, direct_url: str, pause: timedelta
    ) -> None:
        self._tail = Tail(database, broadcast)
        self._wakeup = Wakeup(database, pause=pause)
        self._listener = Listener(direct_url, CHANNEL, self._hear)

    @property
    def is_running(self) -> bool:
        """Whether the end of the log is known."""
        return self._tail.running

    @property
    def parts(self) -> tuple[Lifecycle, ...]:
        """What is to be started, in this order."""
        return self._tail, self._listener, self._wakeup

    def take(self, appended: Appended) -> None:
        """Publish what this process has committed. Never blocks, never fails."""
        self._tail.take(appended)
        self._wakeup.poke()

    def _hear(self, payload: str) -> None:
        if not self._wakeup.is_from_here(payload):
            self._tail.wake()
