"""Whether a database answers: waited for at the start, asked now and then afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from tocsin.common.errors import TocsinError
from tocsin.common.postgres.connecting import connect, database_url
from tocsin.common.postgres.failures import sqlstate_of
from tocsin.common.postgres.patience import answered_in_time

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy.engine import URL

    from tocsin.common.postgres.engine import Database

_TRY_SECONDS = 3.0
_PAUSE_SECONDS = 0.2

# What waiting does not mend: a wrong user or password, a database that does not exist.
_FINAL = {
    "28000": "refuses the user",
    "28P01": "refuses the password",
    "3D000": "has no database of that name",
}


class UnreachableError(Exception):
    """The database cannot be used; the message says which one and why, without the password."""


async def wait_until_reachable(url: str, patience: timedelta) -> None:
    """Return once the database takes a connection.

    Raises UnreachableError when it does not within `patience`, or at once when waiting would not
    help.
    """
    place = database_url(url)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.total_seconds()
    while True:
        try:
            return await _connect(place)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            why = _FINAL.get(sqlstate_of(error))
            if why:
                raise UnreachableError(f"{_named(place)} {why}.") from None
            if loop.time() + _PAUSE_SECONDS > deadline:
                raise UnreachableError(
                    f"{_named(place)} does not answer ({_short(error)}) "
                    f"after {patience.total_seconds():.3g} s."
                ) from None
        await asyncio.sleep(_PAUSE_SECONDS)


async def is_reachable(database: Database) -> bool:
    """Whether the database answers a question now, within the time of a call."""
    try:
        await answered_in_time(_ask(database))
    except TocsinError:
        return False
    return True


async def _connect(place: URL) -> None:
    connection = await connect(place, timeout=_TRY_SECONDS)
    await connection.close(timeout=_TRY_SECONDS)


async def _ask(database: Database) -> None:
    async with database.connection() as connection:
        await connection.fetchval("SELECT 1")


def _named(place: URL) -> str:
    host = place.host or place.query.get("host") or "localhost"
    return f"PostgreSQL at {host}:{place.port or 5432} (database {place.database})"


def _short(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TRY_SECONDS:g} s"
    if isinstance(error, OSError):
        return "the connection is refused" if _is_refused(error) else "it cannot be reached"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _is_refused(error: OSError) -> bool:
    return isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower()
