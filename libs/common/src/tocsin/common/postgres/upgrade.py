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

import structlog
from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tocsin.common.postgres.connecting import connect, database_url
from tocsin.common.postgres.phases import goal
from tocsin.common.postgres.revisions import (
    UNTOUCHED,
    MigrationError,
    Phase,
    oldest_code,
    pending,
    read_state,
    written_state,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection, MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tocsin.common.postgres.revisions import SchemaState

_log = structlog.get_logger(__name__)

# Any number will do, as long as nothing else in the database takes it: 'tocsin', as ASCII.
_LOCK = 0x746F6373696E
_LOCK_POLL_SECONDS = 0.1
_LOCK_WAIT_SECONDS = 120.0

# Servers name themselves; who migrates does not.
_OTHERS = text("""
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'tocsin%'
   AND pid <> pg_backend_pid()
""")
_REMEMBERED = text("""
SELECT version_num, obj_description('alembic_version'::regclass, 'pg_class') FROM alembic_version
""")


async def upgrade(
    url: str, scripts: Path, *, phase: Phase | None = None, considerate: bool = False
) -> None:
    """Bring a database to the newest revision in `scripts` (a folder with env.py and versions/).

    What the arguments mean and which MigrationError is raised, `migrator.migrate` says.
    """
    async with _connected(url) as connection, _locked(connection):
        if phase is None and considerate and await connection.scalar(_OTHERS):
            phase = Phase.BEFORE
        state = await _state(connection)
        fresh = state.revision is None
        waiting = pending(scripts, state.revision)
        target = goal(waiting, phase, fresh=fresh) or state.revision
        left = [each.name for each in waiting if each.name > (target or "")]
        if left:
            _log.info("migrations_put_off", revisions=left)
        try:
            await connection.run_sync(_upgrade, scripts, target or "head")
        except CommandError as error:
            raise MigrationError(
                f"The database cannot be migrated: {error}. It belongs to another service (look at "
                f"the URL), or was written by a newer version of Tocsin: run that one, or restore "
                f"a backup."
            ) from error
        if target is not None:
            await _remember(connection, oldest_code(scripts, target))


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


def _upgrade(connection: Connection, scripts: Path, target: str) -> None:
    config = _config(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, target)


async def _state(connection: AsyncConnection) -> SchemaState:
    found = await connection.scalar(text("SELECT to_regclass('alembic_version')"))
    row = None if found is None else (await connection.execute(_REMEMBERED)).first()
    await connection.commit()
    return read_state(*row) if row is not None else UNTOUCHED


async def _remember(connection: AsyncConnection, oldest: str | None) -> None:
    """Write down which code can serve now."""
    if oldest is not None:
        told = written_state(oldest)
        await connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{told}'"))
        await connection.commit()


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
