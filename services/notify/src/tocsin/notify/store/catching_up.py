"""Whether all that the alert service has committed is taken in, so that nothing is told too soon.

After a start there may be news that take back what waits: nothing is sent before they are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from tocsin.notify.store.inbox import read_caught_up

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

_log = structlog.get_logger(__name__)


class CatchingUp:
    """Opens once some replica has come to the end of the log since `begin`, and stays open.

    It opens after `patience` too: an outage of the alert service must not silence what is known.
    """

    def __init__(self, database: Database, *, clock: Clock, patience: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._patience = patience
        self._begin_time: datetime | None = None
        self._is_open = False

    def begin(self) -> None:
        """Count from now on."""
        self._begin_time = self._clock.now()
        self._is_open = False

    async def is_over(self) -> bool:
        """Return whether what waits may be sent. Raises UnavailableError."""
        if not self._is_open and self._begin_time is not None:
            async with self._database.connection() as connection:
                caught_up_time = await read_caught_up(connection)
            self._is_open = self._is_known(caught_up_time, self._begin_time)
        return self._is_open

    def _is_known(self, caught_up_time: datetime | None, begin_time: datetime) -> bool:
        if caught_up_time is not None and caught_up_time >= begin_time:
            return True
        if self._clock.now() < begin_time + self._patience:
            return False
        _log.warning("sending_before_caught_up", caught_up_time=str(caught_up_time))
        return True
