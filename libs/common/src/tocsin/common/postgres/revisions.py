"""Revisions of the schema: which one a database is at, and which one the code needs.

Migrations lie in `versions/`, one file each, named by its revision and what it does, such as
`alert0002_repositories.py`. A revision is the service, so that the database of another one is not
taken for one's own, and four digits that grow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from tocsin.common.postgres.connecting import connect, database_url

if TYPE_CHECKING:
    from pathlib import Path

_CONNECT_SECONDS = 10


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says why and what to do."""


async def current_revision(url: str) -> str | None:
    """Return the revision that a database is at; None when it was never migrated."""
    connection = await connect(database_url(url), timeout=_CONNECT_SECONDS)
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return revision


async def require_current_schema(url: str, scripts: Path) -> None:
    """Raise MigrationError unless a database is at the newest revision in `scripts`."""
    current, head = await current_revision(url), head_revision(scripts)
    if current != head:
        raise MigrationError(
            f"The schema of the database is at revision {current or '(none)'}, this version needs "
            f"{head}. Migrate it first."
        )


def head_revision(scripts: Path) -> str | None:
    """Return the newest revision in `scripts`; None when there is none."""
    files = (scripts / "versions").glob("*[0-9]*.py")
    return max((file.stem.split("_")[0] for file in files), default=None)
