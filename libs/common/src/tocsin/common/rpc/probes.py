"""Keeps readiness true: asks each condition now and then whether it holds."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.common.lifecycle import BackgroundLoop
from tocsin.common.service_manager import service_manager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tocsin.common.rpc.health import Readiness
    from tocsin.common.service_manager import ServiceManager

_log = structlog.get_logger(__name__)

_WHEN_READY = timedelta(seconds=1)
_WHEN_NOT = timedelta(milliseconds=50)


class Probes:
    """Asks every second, and more often while something is missing.

    `conditions` gives for each condition of the readiness how to find out whether it holds. A
    probe answers within the time of a call. The `manager` that started this process is told what
    is missing, and after each round that it is alive: the event loop turns and every probe has
    come to an answer. The answer itself is not asked for; a restart mends no database.
    """

    def __init__(
        self,
        readiness: Readiness,
        conditions: Mapping[str, Callable[[], bool | Awaitable[bool]]],
        *,
        manager: ServiceManager | None = None,
    ) -> None:
        self._readiness = readiness
        self._conditions = dict(conditions)
        self._manager = manager or service_manager()
        self._told: list[str] | None = None
        self._loop = BackgroundLoop("readiness", self._step, grace=timedelta())

    async def start(self) -> None:
        """Begin to ask."""
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def _step(self) -> timedelta:
        for name, holds in self._conditions.items():
            answer = holds()
            self._readiness.set(name, await answer if inspect.isawaitable(answer) else answer)
        self._tell()
        self._manager.alive()
        return _WHEN_READY if self._readiness.ready() else _WHEN_NOT

    def _tell(self) -> None:
        missing = self._readiness.missing()
        if missing != self._told:
            self._told = missing
            _log.info("readiness", missing=missing)
            self._manager.status("not ready: " + ", ".join(missing) if missing else "ready")
