"""One pool of connections to one database, with its failures told in our own words.

SQLAlchemy owns the pool and serves what is read now and then (`core`). The hot paths (the writer
lane, the event log, the delivery queue) take the asyncpg connection underneath (`connection`,
`transaction`): a statement through Core costs about as much as a whole RPC.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from tocsin.common.postgres.connecting import connect, database_url
from tocsin.common.postgres.failures import told_plainly
from tocsin.common.postgres.patience import ANSWER_WITHIN
from tocsin.common.postgres.pooler import pooled_creator, session_options, unique_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# A connection is lent, or told to be unavailable, within this time: waiting for a free one,
# asking whether it lives, and connecting anew all together.
_LEND_SECONDS = ANSWER_WITHIN.total_seconds()
_CONNECT_SECONDS = 1.5
# One that has rested longer than this may have died without a word and is asked first.
_TRUSTED_SECONDS = 1.0
_ASK_SECONDS = 0.5
_REST_SECONDS = 1.0
_LAST_USE = "last_use"

_BROKEN = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that can be used again after a block on it was broken off anywhere."""

    async def come_to_rest(self) -> None:
        """End the transaction that is open, if one is, for the server and for asyncpg.

        A cancelled BEGIN may have begun all the same, and asyncpg would take the next
        transaction for a nested one, which never commits. `reset` would do, but complains of
        the caller in the log.
        """
        if not self.is_in_transaction():
            # The statement that was cancelled has ended once another one is answered.
            await self.execute("SELECT 1")
        if self.is_in_transaction():
            await self.execute("ROLLBACK")
        self._top_xact = None


class _PooledConnection(_Connection):
    """A connection through a pooler in transaction mode."""

    def _get_unique_id(self, prefix: str) -> str:
        return unique_name(prefix)


class Database:
    """A pool of connections to one PostgreSQL database.

    Every failure to reach or use the server leaves its context managers as UnavailableError
    (DATABASE_UNAVAILABLE), one for want of room as ResourceExhaustedError (STORAGE_FULL). Other
    database errors pass through: they are bugs, or are told apart by the caller. `failures` counts
    those two.
    """

    def __init__(
        self, url: str, *, application_name: str, pool_size: int = 8, pooled: bool = False
    ) -> None:
        """`pooled` says that the URL leads through a pooler in transaction mode."""
        self.url = database_url(url)
        self.pool_size = pool_size
        self.failures = 0
        create = partial(
            connect,
            self.url,
            connection_class=_PooledConnection if pooled else _Connection,
            timeout=_CONNECT_SECONDS,
            command_timeout=30,
            **session_options(application_name, pooled=pooled),
        )
        through_pooler = pooled_creator(create, lambda: self._engine)
        self._engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_LEND_SECONDS,
            pool_use_lifo=True,  # the one used last needs no asking
            **({"creator": through_pooler} if pooled else {"async_creator": create}),
        )

    def _count_failure(self) -> None:
        self.failures += 1

    @property
    def in_use(self) -> int:
        """How many connections are lent just now."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @asynccontextmanager
    async def core(self) -> AsyncIterator[AsyncConnection]:
        """Lend a SQLAlchemy connection inside a transaction that commits on a clean exit."""
        async with self._lent() as (wrapper, _), wrapper.begin():
            yield wrapper

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend an asyncpg connection outside any transaction."""
        async with self._lent() as (_, connection):
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend an asyncpg connection inside a READ COMMITTED transaction.

        Commits on a clean exit and rolls back on any error, cancellation included.
        """
        async with (
            self.connection() as connection,
            connection.transaction(isolation="read_committed"),
        ):
            yield connection

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[tuple[AsyncConnection, _Connection]]:
        """Lend a connection that lives, and take it back at rest or not at all."""
        with told_plainly(self._count_failure):
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(_LEND_SECONDS):
                    wrapper = await stack.enter_async_context(self._engine.connect())
                    connection = await _living(wrapper)
                try:
                    yield wrapper, connection
                except BaseException:
                    await _bring_to_rest(connection)
                    raise
                finally:
                    if connection.is_closed():
                        await wrapper.invalidate()
                    else:
                        wrapper.info[_LAST_USE] = time.monotonic()

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def _living(wrapper: AsyncConnection) -> _Connection:
    """Return the asyncpg connection under a pooled one, a new one if that is dead."""
    connection = await _driver_connection(wrapper)
    if not await _lives(wrapper, connection):
        connection.terminate()
        await wrapper.invalidate()
        connection = await _driver_connection(wrapper)
    return connection


async def _driver_connection(wrapper: AsyncConnection) -> _Connection:
    return cast("_Connection", (await wrapper.get_raw_connection()).driver_connection)


async def _lives(wrapper: AsyncConnection, connection: _Connection) -> bool:
    if connection.is_closed():
        return False
    rested = time.monotonic() - wrapper.info.get(_LAST_USE, time.monotonic())
    if rested < _TRUSTED_SECONDS:
        return True
    try:
        await connection.execute("SELECT 1", timeout=_ASK_SECONDS)
    except _BROKEN:
        return False
    return True


async def _bring_to_rest(connection: _Connection) -> None:
    """Roll back whatever a block that was broken off left behind."""
    if connection.is_closed():
        return
    try:
        async with asyncio.timeout(_REST_SECONDS):
            await connection.come_to_rest()
    except _BROKEN:
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise
