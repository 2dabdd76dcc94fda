"""A start that outlives a database which goes away in the midst of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.reachable import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from tocsin.common.lifecycle import Lifecycle

_PAUSE_SECONDS = 0.2

_log = structlog.get_logger(__name__)


class PatientStart:
    """A service that is made and started again while its database comes and goes.

    The service waits for its database before it begins (`wait_until_reachable`). One that answers
    then may be gone a moment later, when the first parts read from it; a supervisor that starts
    what has failed ever more slowly would make a short outage a long one.
    """

    def __init__(self, make: Callable[[], Lifecycle], patience: timedelta) -> None:
        """`make` makes the service; `patience` is for how long after the first failure."""
        self._make = make
        self._service: Lifecycle | None = None
        self._patience = patience.total_seconds()

    async def start(self) -> None:
        """Start the service. Raises UnreachableError when it had no database for too long."""
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while True:
            self._service = self._make()
            try:
                return await self._service.start()
            except UnavailableError as error:
                deadline = deadline or loop.time() + self._patience
                if loop.time() + _PAUSE_SECONDS > deadline:
                    raise UnreachableError(
                        "The database answered, but not for long enough to start, "
                        f"for {self._patience:.3g} s."
                    ) from error
            _log.warning("start_again", reason="DATABASE_UNAVAILABLE")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def stop(self) -> None:
        if self._service is not None:
            await self._service.stop()
