"""Revisions of the schema: which one a database is at, and which one the code needs.

Migrations lie in `versions/`, one file each, named by its revision and what it does, such as
`alert0002_repositories.py`. A revision is the service, so that the database of another one is not
taken for one's own, and four digits that grow.

Each says in which phase of an update it is applied: `phase = "before"` prepares for the new code
and leaves the version before able to serve; `phase = "after"` removes what only older code used,
once none of it runs. A database remembers the oldest code that can serve on it, so that a server
of the version before may still start, and the code may be rolled back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import asyncpg

from tocsin.common.postgres.connecting import connect, database_url

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS = 10

_PHASE = re.compile(r'^phase = "(before|after)"$', re.MULTILINE)
_STATE = """
SELECT version_num, obj_description('alembic_version'::regclass, 'pg_class') FROM alembic_version
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says why and what to do."""


class Phase(StrEnum):
    """When a migration is applied: before the new code comes, or after the old code is gone."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration. The first ones have no phase: they were made before there were any."""

    name: str
    phase: Phase | None


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where a database is: its revision, and the newest one that code must know to serve on it.

    Both are None when it was never migrated; `oldest_code` also when it was migrated before this
    was remembered: then only code of the same revision can serve.
    """

    revision: str | None
    oldest_code: str | None

    def serves(self, head: str) -> bool:
        """Whether this is a newer schema, on which code that needs `head` can serve."""
        if self.revision is None or self.oldest_code is None:
            return False
        return service_of(self.revision) == service_of(head) and self.oldest_code <= head


UNTOUCHED = SchemaState(None, None)


async def schema_state(url: str) -> SchemaState:
    """Return where a database is."""
    connection = await connect(database_url(url), timeout=CONNECT_SECONDS)
    try:
        return read_state(*await connection.fetchrow(_STATE) or (None, None))
    except asyncpg.UndefinedTableError:
        return UNTOUCHED
    finally:
        await connection.close()


async def current_revision(url: str) -> str | None:
    """Return the revision that a database is at; None when it was never migrated."""
    return (await schema_state(url)).revision


async def require_current_schema(url: str, scripts: Path) -> None:
    """Raise MigrationError unless the code of `scripts` can serve on a database.

    It can at the newest revision, before the migrations that come after the code, and on a newer
    schema that was only prepared for newer code.
    """
    state, head = await schema_state(url), head_revision(scripts)
    waiting = pending(scripts, state.revision)
    later_only = all(each.phase is Phase.AFTER for each in waiting)
    known = state.revision in {each.name for each in revisions(scripts)}
    if (known and later_only) or (head is not None and not known and state.serves(head)):
        return
    raise MigrationError(
        f"The schema of the database is at revision {state.revision or '(none)'}, this version "
        f"needs {head}. Migrate it first."
    )


def revisions(scripts: Path) -> list[Revision]:
    """Return all migrations in `scripts`, the oldest first."""
    files = sorted((scripts / "versions").glob("*[0-9]*.py"))
    return [Revision(file.stem.split("_")[0], _phase(file)) for file in files]


def pending(scripts: Path, current: str | None) -> list[Revision]:
    """Return the migrations in `scripts` that a database at `current` has not had."""
    return [each for each in revisions(scripts) if current is None or each.name > current]


def head_revision(scripts: Path) -> str | None:
    """Return the newest revision in `scripts`; None when there is none."""
    files = (scripts / "versions").glob("*[0-9]*.py")
    return max((file.stem.split("_")[0] for file in files), default=None)


def oldest_code(scripts: Path, current: str) -> str | None:
    """Return the newest revision that code must know to serve on a database at `current`."""
    names = [each.name for each in revisions(scripts) if each.phase is not Phase.BEFORE]
    return max((name for name in names if name <= current), default=None)


def written_state(oldest: str) -> str:
    """Return how the oldest code is remembered: a comment on Alembic's own table."""
    return f"Serves code from {oldest} on"


def read_state(revision: str | None, remembered: str | None) -> SchemaState:
    """Read what `written_state` wrote."""
    told = re.fullmatch(r"Serves code from (\S+) on", remembered or "")
    return SchemaState(revision, told[1] if told else None)


def service_of(revision: str) -> str:
    """Return the service whose revision it is, `alert` of `alert0002`."""
    return revision.rstrip("0123456789")


def _phase(file: Path) -> Phase | None:
    told = _PHASE.search(file.read_text("utf-8"))
    return Phase(told[1]) if told else None
