"""One replica follows at a time: it holds a session lock in the database, the others wait for it.

The lock lives and dies with its connection, and the follower writes on that same connection:
whoever lost the lock cannot write either. The server notices a dead machine by TCP keepalive,
within 20 s, and a killed process at once. It needs a direct connection to PostgreSQL, not one
through a pooler in transaction mode.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tocsin.common.postgres.engine import Database

# 'follow', as ASCII; any number that nothing else in this database takes.
_LOCK = 0x666F6C6C6F77

_KEEPALIVE = """
SELECT set_config('tcp_keepalives_idle', '10', false),
       set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '2', false),
       set_config('tcp_user_timeout', '20000', false)
"""


@asynccontextmanager
async def leading(database: Database) -> AsyncIterator[asyncpg.Connection | None]:
    """Lend the connection that holds the lock, or None when another replica holds it."""
    async with database.connection() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            yield None
            return
        try:
            await connection.execute(_KEEPALIVE)
            yield connection
        finally:
            connection.terminate()  # a returned connection would keep the lock
