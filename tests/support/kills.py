"""Kills a random service every few seconds, and PostgreSQL, for as long as there is load."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from support.kill_ground import Stack
    from support.processes import ServiceProcess

LEAST_LIFE = 0.8
"""Of the time from kill to kill, that whatever started is left to live."""


@dataclass(frozen=True)
class Size:
    """How much there is to do, at most for how long, and how often something is killed.

    `--whole` does all of it, however long that takes.
    """

    raises: int
    keys: int
    seconds: float
    service_every: float
    postgres_every: float
    least_kills: int
    replicas: int


class Kills:
    """Kills a random service, and PostgreSQL, each at its own pace; all of it starts again.

    A replica is left alone until it has served for a moment. On a machine with too much to do that
    takes longer than the pace wants: else nothing would ever live.
    """

    def __init__(self, stack: Stack, size: Size, dice: random.Random) -> None:
        self._stack = stack
        self._size = size
        self._random = dice
        self._over = asyncio.Event()
        self._serving = {
            service: asyncio.create_task(self._has_served(service))
            for service in (*stack.alerts, *stack.notifies)
        }
        self.counts: Counter[str] = Counter()

    async def go_on(self) -> None:
        """Kill until told to stop; return when all of it serves again."""
        await asyncio.gather(
            self._every(self._size.service_every, self._kill_service),
            self._every(self._size.postgres_every, self._kill_postgres),
        )
        await asyncio.gather(*self._serving.values())

    def stop(self) -> None:
        self._over.set()

    async def _every(self, seconds: float, kill: Callable[[], Awaitable[None]]) -> None:
        due = time.monotonic() + seconds
        while not await self._is_over_within(due - time.monotonic()):
            await kill()
            # What took its time to start is left to live all the same.
            due = max(due + seconds, time.monotonic() + LEAST_LIFE * seconds)

    async def _is_over_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return self._over.is_set()

    async def _kill_service(self) -> None:
        await asyncio.wait(self._serving.values(), return_when=asyncio.FIRST_COMPLETED)
        up = [service for service, serving in self._serving.items() if serving.done()]
        service = self._random.choice(up)
        self.counts["alert" if service in self._stack.alerts else "notify"] += 1
        await self._stack.kill(service)
        self._serving[service] = asyncio.create_task(self._has_served(service))

    async def _has_served(self, service: ServiceProcess) -> None:
        await service.serving()
        await asyncio.sleep(LEAST_LIFE * self._size.service_every)

    async def _kill_postgres(self) -> None:
        self.counts["postgres"] += 1
        await self._stack.kill_postgres()
