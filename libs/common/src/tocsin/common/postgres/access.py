"""How a service comes to its database: through a pooler or not, and prepared before it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.preparation import prepare

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from pydantic import SecretStr

_SESSIONS = 2


class DatabaseAccess(Protocol):
    """The settings that say where the database is (`deployment_settings.PoolerSettings`)."""

    @property
    def database_url(self) -> SecretStr: ...
    @property
    def migrate_on_start(self) -> bool: ...
    @property
    def database_wait(self) -> timedelta: ...
    @property
    def direct_url(self) -> str: ...
    @property
    def pooler_url(self) -> str | None: ...
    @property
    def is_pooled(self) -> bool: ...


async def prepare_for(settings: DatabaseAccess, scripts: Path) -> None:
    """Return once the database answers and has the schema of `scripts`, as `prepare` does."""
    await prepare(
        settings.direct_url,
        scripts,
        patience=settings.database_wait,
        migrate_first=settings.migrate_on_start,
        pooler=settings.pooler_url,
    )


def open_database(settings: DatabaseAccess, name: str, *, pool_size: int) -> Database:
    """Return a pool for transactions. It connects when it is first used."""
    url = settings.database_url.get_secret_value()
    return Database(url, application_name=name, pool_size=pool_size, pooled=settings.is_pooled)


def open_sessions(settings: DatabaseAccess, name: str, database: Database) -> Database:
    """Return a pool of direct connections, for session locks: `database` where it is direct."""
    if not settings.is_pooled:
        return database
    return Database(settings.direct_url, application_name=name, pool_size=_SESSIONS)
