from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from support.waiting import eventually
from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.hold import Hold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.common.postgres.embedded import Cluster

pytestmark = pytest.mark.postgres


@pytest.fixture
async def database(empty_url: str) -> AsyncIterator[Database]:
    """A pool of one connection: whoever holds it is alone."""
    database = Database(empty_url, application_name="hold test", pool_size=1)
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE kept (n integer)")
    yield database
    await database.close()


async def session_of(hold: Hold) -> int:
    async with hold.transaction() as connection:
        session: int = connection.get_server_pid()
        return session


async def insert(hold: Hold, number: int) -> None:
    async with hold.transaction() as connection:
        await connection.execute("INSERT INTO kept VALUES ($1)", number)


async def kept(database: Database) -> list[int]:
    async with database.connection() as connection:
        return [row[0] for row in await connection.fetch("SELECT n FROM kept ORDER BY n")]


async def test_it_keeps_its_connection_until_it_is_released(database: Database) -> None:
    hold = Hold(database)
    await insert(hold, 1)
    session = await session_of(hold)
    assert 1 == database.in_use

    await hold.release()
    await hold.release()

    assert 0 == database.in_use
    assert [1] == await kept(database)
    assert session == await session_of(hold)
    await hold.release()


async def test_what_fails_is_rolled_back_and_the_connection_given_back(database: Database) -> None:
    hold = Hold(database)
    await insert(hold, 1)

    async def fail() -> None:
        async with hold.transaction() as connection:
            await connection.execute("INSERT INTO kept VALUES (2)")
            await connection.execute("SELECT * FROM nowhere")

    with pytest.raises(asyncpg.UndefinedTableError):
        await fail()

    assert [1] == await kept(database)
    await insert(hold, 3)
    await hold.release()
    assert [1, 3] == await kept(database)


async def test_what_is_cancelled_anywhere_leaves_nothing_and_the_next_one_succeeds(
    database: Database,
) -> None:
    hold = Hold(database)
    for turns in range(30):
        task = asyncio.ensure_future(insert(hold, 100))
        for _ in range(turns):
            await asyncio.wait({task}, timeout=0)
        task.cancel()
        await asyncio.wait({task})
        await insert(hold, turns)
    await hold.release()

    # Cancelled late, it may have been committed already.
    assert list(range(30)) == [number for number in await kept(database) if number < 100]


async def test_its_transactions_are_read_committed_whatever_the_database_is_set_to(
    database: Database,
) -> None:
    hold = Hold(database)
    async with database.connection() as connection:
        await connection.execute("SET default_transaction_isolation = 'repeatable read'")

    async with hold.transaction() as connection:
        level = await connection.fetchval("SHOW transaction_isolation")
    await hold.release()

    assert "read committed" == level


async def test_a_kept_connection_that_dies_is_replaced(own_cluster: Cluster) -> None:
    database = Database(own_cluster.url(), application_name="hold test", pool_size=1)
    hold = Hold(database)
    first = await session_of(hold)
    async with hold.transaction() as connection:
        pass
    await asyncio.to_thread(own_cluster.kill)
    await asyncio.to_thread(own_cluster.start)
    await eventually(connection.is_closed)

    assert first != await session_of(hold)
    await hold.release()
    await database.close()


async def test_while_the_server_is_away_every_transaction_is_unavailable(
    own_cluster: Cluster,
) -> None:
    database = Database(own_cluster.url(), application_name="hold test", pool_size=1)
    hold = Hold(database)
    await session_of(hold)

    async def lose() -> None:
        async with hold.transaction() as connection:
            await asyncio.to_thread(own_cluster.kill)
            await connection.execute("SELECT 1")

    with pytest.raises(UnavailableError):
        await lose()
    with pytest.raises(UnavailableError):
        await session_of(hold)
    await asyncio.to_thread(own_cluster.start)

    assert await session_of(hold)
    await hold.release()
    await database.close()
