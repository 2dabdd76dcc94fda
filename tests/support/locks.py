"""Locks of the database that a test holds, as another process would, and who waits for them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tocsin.alert.domain.key import Key
    from tocsin.common.postgres.engine import Database

_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@asynccontextmanager
async def held(database: Database, *keys: Key) -> AsyncIterator[asyncpg.Connection]:
    """Hold the locks of keys that have no row yet, as another process's transaction would."""
    async with database.transaction() as connection:
        for key in sorted(keys):
            await connection.execute("INSERT INTO alert_keys VALUES ($1, $2, $3)", *key)
        yield connection


async def waits_for_a_lock(database: Database, count: int = 1) -> None:
    """Wait until so many transactions of the database wait for others."""

    async def waiting() -> bool:
        async with database.connection() as connection:
            found: int = await connection.fetchval(_WAITING)
            return count <= found

    await eventually(waiting)
