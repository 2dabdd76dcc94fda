"""One connection for one task that makes transaction after transaction."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    import asyncpg

    from tocsin.common.postgres.engine import Database


class Hold:
    """Keeps a connection of a pool from one transaction to the next.

    To take one and give it back costs as much as a statement. It is given back with the first
    error, cancellation included, for the pool to bring it to rest. A connection that rests for
    more than a second may die without a word: call `release` before that.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lease: AbstractAsyncContextManager[asyncpg.Connection] | None = None
        self._connection: asyncpg.Connection | None = None

    @property
    def is_at_hand(self) -> bool:
        """Whether there is a connection without waiting for others to give one back."""
        database = self._database
        return self._connection is not None or database.in_use < database.pool_size

    async def prepare(self) -> None:
        """Have a connection to keep. Fails as `Database.connection` does."""
        await self._living()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Give the connection outside of any transaction. Fails as `Database.connection` does."""
        connection = await self._living()
        try:
            yield connection
        except BaseException as error:
            await self._give_back(error)
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """Give the connection inside a READ COMMITTED transaction.

        Commits, rolls back and fails as `Database.transaction` does.
        """
        async with self.connection() as connection:
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            yield connection
            await connection.execute("COMMIT")

    async def release(self) -> None:
        """Give the connection back, if there is one. The next transaction takes another."""
        await self._give_back(None)

    async def _living(self) -> asyncpg.Connection:
        """Return the connection that is kept, a new one if there is none or it has died."""
        if self._connection is not None and self._connection.is_closed():
            await self.release()
        if self._connection is None:
            lease = self._database.connection()
            self._connection = await lease.__aenter__()
            self._lease = lease
        return self._connection

    async def _give_back(self, error: BaseException | None) -> None:
        """End the lease, which raises what the error means."""
        lease, self._lease, self._connection = self._lease, None, None
        if lease is not None:
            await lease.__aexit__(type(error) if error else None, error, None)
