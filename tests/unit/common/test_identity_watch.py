"""The credentials in memory, while the database is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.clock import ManualClock
from support.waiting import WITHIN_SECONDS
from tocsin.common.errors import UnavailableError
from tocsin.common.identity.watch import CredentialWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class EmptyDatabase:
    """A database without credentials, which can go away."""

    is_away = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[EmptyDatabase]:
        if self.is_away:
            raise UnavailableError("no answer", reason="DATABASE_UNAVAILABLE")
        yield self

    async def fetchval(self, _statement: str) -> int:
        return 1

    async def fetch(self, _statement: str) -> list[Any]:
        return []

    async def execute(self, _statement: str, *_values: object) -> str:
        return "DELETE 0"


async def test_what_expires_is_looked_for_while_the_database_is_away_too() -> None:
    database: Any = EmptyDatabase()
    watch = CredentialWatch(database, clock=ManualClock(), audit_kept=timedelta(days=1))
    await watch.start()
    try:
        database.is_away = True
        polled = asyncio.Event()
        watch.on_poll = polled.set

        async with asyncio.timeout(WITHIN_SECONDS):
            await polled.wait()
    finally:
        await watch.stop()
