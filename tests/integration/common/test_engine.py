from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from support.waiting import eventually
from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.postgres import NewDatabase, PostgresServer
    from tocsin.common.postgres.embedded import Cluster

pytestmark = pytest.mark.postgres

BOUND_SECONDS = 2.0


@asynccontextmanager
async def opened(url: str, *, pool_size: int = 2) -> AsyncIterator[Database]:
    database = Database(url, application_name="engine test", pool_size=pool_size)
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def unavailable_in_time() -> Iterator[None]:
    start = time.monotonic()
    with pytest.raises(UnavailableError) as told:
        yield
    took = time.monotonic() - start
    assert took < BOUND_SECONDS
    assert "DATABASE_UNAVAILABLE" == told.value.reason


async def use_by_driver(database: Database) -> int:
    async with database.transaction() as connection:
        answer: int = await connection.fetchval("SELECT 1")
        return answer


async def use_by_core(database: Database) -> int:
    async with database.core() as connection:
        return int(await connection.scalar(text("SELECT 1")))


Use = Callable[[Database], Awaitable[int]]
Insert = Callable[[Database, int], Coroutine[None, None, None]]
EITHER_WAY = pytest.mark.parametrize("use", [use_by_driver, use_by_core])


@EITHER_WAY
async def test_the_pool_heals_at_the_next_use_after_a_crash(own_cluster: Cluster, use: Use) -> None:
    async with opened(own_cluster.url()) as database:
        await asyncio.gather(use(database), use(database))
        await asyncio.to_thread(own_cluster.kill)
        await asyncio.to_thread(own_cluster.start)

        # Both connections of the pool are dead; no use of them may fail.
        assert (1, 1) == tuple(await asyncio.gather(use(database), use(database)))


@EITHER_WAY
async def test_while_the_server_is_away_every_use_is_unavailable(
    own_cluster: Cluster, use: Use
) -> None:
    async with opened(own_cluster.url()) as database:
        await use(database)
        own_cluster.kill()
        for _ in range(3):
            with unavailable_in_time():
                await use(database)
        own_cluster.start()

        assert 1 == await use(database)


async def test_a_crash_in_the_middle_of_a_transaction_is_unavailable(
    own_cluster: Cluster,
) -> None:
    async with opened(own_cluster.url()) as database:
        with unavailable_in_time():
            async with database.transaction() as connection:
                own_cluster.kill()
                await connection.fetchval("SELECT 1")
        own_cluster.start()

        assert 1 == await use_by_driver(database)


async def test_a_clean_shutdown_in_the_middle_of_a_statement_is_unavailable(
    own_cluster: Cluster,
) -> None:
    async with opened(own_cluster.url()) as database:

        async def sleep() -> None:
            async with database.transaction() as connection:
                await connection.execute("SELECT pg_sleep(60)")

        sleeping = asyncio.create_task(sleep())
        await eventually(lambda: is_running(own_cluster.url(), "SELECT pg_sleep(60)"))
        await asyncio.to_thread(own_cluster.stop)
        with pytest.raises(UnavailableError):
            await sleeping


async def is_running(url: str, query: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'", query
            )
        )
    finally:
        await connection.close()


@EITHER_WAY
async def test_too_many_connections_are_unavailable(
    new_database: NewDatabase, postgres_server: PostgresServer, use: Use
) -> None:
    url = await new_database()
    name = url.rsplit("/", 1)[1]
    admin = await asyncpg.connect(postgres_server.cluster.url())
    # A superuser passes over limits, so an ordinary login stands at the door.
    await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' CONNECTION LIMIT 0")
    try:
        async with opened(url.replace(url.split("@")[0], f"postgresql://{name}:p")) as database:
            with unavailable_in_time():
                await use(database)
    finally:
        await admin.execute(f"DROP ROLE {name}")
        await admin.close()


@EITHER_WAY
async def test_a_pool_in_full_use_is_unavailable(empty_url: str, use: Use) -> None:
    async with opened(empty_url, pool_size=1) as database, database.transaction():
        with unavailable_in_time():
            await use(database)


@EITHER_WAY
async def test_a_refused_login_is_unavailable(empty_url: str, use: Use) -> None:
    async with opened(empty_url.replace("tocsin:", "tocsin:wrong")) as database:
        with unavailable_in_time():
            await use(database)


@EITHER_WAY
async def test_a_database_that_does_not_exist_is_unavailable(empty_url: str, use: Use) -> None:
    async with opened(empty_url + "_not") as database:
        with unavailable_in_time():
            await use(database)


@EITHER_WAY
async def test_a_port_where_nothing_listens_is_unavailable(use: Use) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        async with opened(f"postgresql://u:p@127.0.0.1:{port}/d") as database:
            with unavailable_in_time():
                await use(database)


@EITHER_WAY
async def test_an_address_that_never_answers_is_unavailable(use: Use) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with opened(f"postgresql://u:p@127.0.0.1:{port}/d") as database:
            with unavailable_in_time():
                await use(database)


@EITHER_WAY
async def test_a_host_name_that_does_not_exist_is_unavailable(use: Use) -> None:
    async with opened("postgresql://u:p@no-such-host.invalid/d") as database:
        with unavailable_in_time():
            await use(database)


async def test_a_read_only_server_is_unavailable(empty_url: str) -> None:
    async with opened(empty_url) as database:
        with unavailable_in_time():
            async with database.transaction() as connection:
                await connection.execute("SET TRANSACTION READ ONLY")
                await connection.execute("CREATE TABLE t (x int)")


async def test_a_missing_table_passes_through_as_the_bug_it_is(empty_url: str) -> None:
    async with opened(empty_url) as database:
        with pytest.raises(asyncpg.UndefinedTableError):
            async with database.transaction() as connection:
                await connection.execute("SELECT * FROM missing")
        with pytest.raises(ProgrammingError):
            async with database.core() as core:
                await core.execute(text("SELECT * FROM missing"))

        assert 1 == await use_by_driver(database)


async def test_an_error_of_the_caller_passes_through_and_rolls_back(empty_url: str) -> None:
    async with opened(empty_url) as database:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE t (x int)")

        async def fail() -> None:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO t VALUES (1)")
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        async with database.connection() as connection:
            assert 0 == await connection.fetchval("SELECT count(*) FROM t")


async def test_an_error_passes_through_although_its_block_closed_the_connection(
    empty_url: str,
) -> None:
    async with opened(empty_url) as database:

        async def fail() -> None:
            async with database.connection() as connection:
                connection.terminate()
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await fail()
        assert 1 == await use_by_driver(database)


@pytest.mark.parametrize("statement", ["INSERT INTO t VALUES (1)", "SELECT pg_sleep(60)"])
async def test_a_cancelled_transaction_rolls_back_and_frees_its_connection(
    empty_url: str, statement: str
) -> None:
    async with opened(empty_url, pool_size=1) as database:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE t (x int)")
        inside = asyncio.Event()

        async def work() -> None:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO t VALUES (0)")
                inside.set()
                await connection.execute(statement)
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async with database.connection() as connection:
            assert 0 == await connection.fetchval("SELECT count(*) FROM t")
        await eventually(lambda: nobody_is_in_a_transaction(empty_url))


@EITHER_WAY
async def test_a_connection_that_froze_while_it_rested_is_replaced(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, use: Use
) -> None:
    monkeypatch.setattr("tocsin.common.postgres.engine._TRUSTED_SECONDS", 0.0)
    async with opened(empty_url, pool_size=1) as database:
        async with database.connection() as connection:
            frozen = connection.get_server_pid()
        os.kill(frozen, signal.SIGSTOP)
        try:
            assert 1 == await use(database)
        finally:
            os.kill(frozen, signal.SIGCONT)


async def nobody_is_in_a_transaction(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        left = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        return bool(left == 0)
    finally:
        await connection.close()


async def insert_by_driver(database: Database, pair: int) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO t VALUES ($1, 1)", pair)
        await connection.execute("INSERT INTO t VALUES ($1, 2)", pair)


async def insert_by_core(database: Database, pair: int) -> None:
    async with database.core() as connection:
        await connection.execute(text("INSERT INTO t VALUES (:pair, 1)"), {"pair": pair})
        await connection.execute(text("INSERT INTO t VALUES (:pair, 2)"), {"pair": pair})


@pytest.mark.parametrize("insert", [insert_by_driver, insert_by_core])
async def test_a_thousand_cancellations_leave_nothing_behind_and_are_no_news(
    empty_url: str, insert: Insert, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(empty_url, pool_size=4) as database:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE t (pair int, half int)")

        for round_ in range(50):
            tasks = [asyncio.create_task(insert(database, round_ * 20 + i)) for i in range(20)]
            for turn, task in enumerate(tasks):
                for _ in range(turn):
                    await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        await eventually(lambda: nobody_is_in_a_transaction(empty_url))
        async with database.connection() as connection:
            halves = await connection.fetchval(
                "SELECT count(*) FROM (SELECT pair FROM t GROUP BY pair HAVING count(*) <> 2) x"
            )
            assert 0 == halves
        assert [1] * 4 == await asyncio.gather(*(use_by_driver(database) for _ in range(4)))
    assert [] == caplog.messages


@pytest.mark.parametrize("insert", [insert_by_driver, insert_by_core])
async def test_after_a_cancelled_begin_the_next_transaction_commits(
    empty_url: str, insert: Insert
) -> None:
    async with opened(empty_url, pool_size=1) as database:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE t (pair int, half int)")
            server = connection.get_server_pid()
        os.kill(server, signal.SIGSTOP)
        inserting = asyncio.create_task(insert(database, 1))
        for _ in range(20):
            await asyncio.sleep(0)
        inserting.cancel()
        os.kill(server, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await inserting

        await insert(database, 2)
        async with opened(empty_url) as other, other.connection() as connection:
            assert [2, 2] == [row[0] for row in await connection.fetch("SELECT pair FROM t")]
            assert await nobody_is_in_a_transaction(empty_url)


SLOW_TO_COMMIT = """
    CREATE TABLE t (pair int, half int);
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (new.half = 2) EXECUTE FUNCTION dawdle();
"""


@pytest.mark.parametrize("insert", [insert_by_driver, insert_by_core])
async def test_a_cancelled_commit_leaves_nothing_open_and_is_no_news(
    empty_url: str, insert: Insert, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(empty_url, pool_size=1) as database:
        async with database.connection() as connection:
            await connection.execute(SLOW_TO_COMMIT)
        inserting = asyncio.create_task(insert(database, 1))
        await eventually(lambda: is_running(empty_url, "COMMIT;"))
        inserting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await inserting

        assert await nobody_is_in_a_transaction(empty_url)
        async with database.transaction() as connection:
            assert 0 == await connection.fetchval("SELECT count(*) FROM t")
            await connection.execute("INSERT INTO t VALUES (2, 1)")
        async with database.connection() as connection:
            assert 1 == await connection.fetchval("SELECT count(*) FROM t")
    assert [] == caplog.messages


async def test_each_statement_sees_what_was_committed_whatever_the_database_is_set_to(
    empty_url: str,
) -> None:
    async with opened(empty_url) as database, database.connection() as connection:
        await connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation"
            " = %L', current_database(), 'repeatable read'); END $$"
        )
    async with opened(empty_url) as database:
        async with database.connection() as connection:
            alone = await connection.fetchval("SHOW transaction_isolation")
            await connection.execute("SET default_transaction_isolation = 'serializable'")
        async with database.transaction() as connection:
            together = await connection.fetchval("SHOW transaction_isolation")

    assert ["read committed", "read committed"] == [alone, together]


@EITHER_WAY
async def test_a_url_may_say_how_to_encrypt_in_the_words_of_libpq(empty_url: str, use: Use) -> None:
    async with opened(f"{empty_url}?sslmode=prefer") as database:
        assert 1 == await use(database)


def test_a_url_that_is_no_postgresql_url_is_refused_without_its_password() -> None:
    for url in (
        "mysql://u:hidden@h/d",
        "hidden",
        "postgresql://u:hidden@h:port/d",
        "postgresql://u:hidden@h",
    ):
        with pytest.raises(ValueError, match="postgresql://") as told:
            Database(url, application_name="x")
        assert "hidden" not in str(told.value)
