"""Schema migrations by Alembic, run by whoever comes first while the others wait.

`migrator` loads this only when there is something to migrate: Alembic takes long to load, and a
service that restarts has nothing to migrate.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tocsin.common.postgres.connecting import connect, database_url
from tocsin.common.postgres.revisions import MigrationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection, MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection

# Any number will do, as long as nothing else in the database takes it: 'tocsin', as ASCII.
_LOCK = 0x746F6373696E
_LOCK_POLL_SECONDS = 0.1
_LOCK_WAIT_SECONDS = 120.0


async def upgrade(url: str, scripts: Path) -> None:
    """Bring a database to the newest revision in `scripts` (a folder with env.py and versions/).

    Any number of processes may do this at once: one works, the others wait for it.

    Raises MigrationError as `migrator.migrate` does.
    """
    async with _connected(url) as connection, _locked(connection):
        try:
            await connection.run_sync(_upgrade, scripts)
        except CommandError as error:
            raise MigrationError(
                f"The database cannot be migrated: {error}. It belongs to another service (look at "
                f"the URL), or was written by a newer version of Tocsin: run that one, or restore "
                f"a backup."
            ) from error


def run_environment(metadata: MetaData) -> None:
    """Do what Alembic expects of an env.py: each migration in a transaction of its own."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _upgrade(connection: Connection, scripts: Path) -> None:
    config = _config(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncConnection]:
    place = database_url(url)
    engine = create_async_engine(place, poolclass=NullPool, async_creator=partial(connect, place))
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def _locked(connection: AsyncConnection) -> AsyncIterator[None]:
    # Asked for again and again, not waited for in the server: a statement that waits holds a
    # snapshot, and CREATE INDEX CONCURRENTLY waits for every older snapshot. They would wait
    # for each other.
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        await connection.rollback()
        if time.monotonic() > deadline:
            raise MigrationError(
                f"Another process has been migrating this database for over "
                f"{_LOCK_WAIT_SECONDS:.0f} s. See what it waits for in pg_stat_activity."
            )
        await asyncio.sleep(_LOCK_POLL_SECONDS)
    await connection.commit()
    try:
        yield
    finally:
        # Closing the connection frees the lock; here it is freed after an error, too.
        await connection.rollback()
        await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        await connection.commit()
