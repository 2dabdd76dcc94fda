"""What a failure of PostgreSQL means to a caller, told without a word of its inside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tocsin.common.errors import ResourceExhaustedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# SQLSTATEs by prefix, https://www.postgresql.org/docs/current/errcodes-appendix.html:
# connection exceptions, refused logins, a missing database, a read-only server (a standby),
# operator intervention (shutdown, starting up), too many connections, statement cancelled.
_AWAY = ("08", "28", "3D000", "25006", "57", "53300")
# Disk full, out of memory, configuration limit.
_FULL = ("53100", "53200", "53400")
# Serialization failure and deadlock: the same transaction succeeds when run again.
_AGAIN = ("40001", "40P01")


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE that an error of asyncpg or SQLAlchemy carries, or ''."""
    if isinstance(error, DBAPIError):
        return str(getattr(error.orig, "sqlstate", None) or "")
    return str(getattr(error, "sqlstate", None) or "")


def is_worth_repeating(error: BaseException) -> bool:
    """Whether the same transaction, run again at once, is expected to succeed."""
    return sqlstate_of(error) in _AGAIN


def unavailable() -> UnavailableError:
    """Return the error for a database that does not answer."""
    return UnavailableError("The database does not answer. Try again with the same request_id.")


def _lost_connection(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InterfaceError):  # its other uses are bugs of ours
        return "closed" in str(error)
    if isinstance(error, asyncpg.InternalClientError):  # used just as the server says goodbye
        return "cannot switch to state" in str(error)
    return isinstance(error, OSError | PoolTimeoutError)


def _nobody() -> None:
    """Nobody wants to know."""


@contextmanager
def told_plainly(on_failure: Callable[[], None] = _nobody) -> Iterator[None]:
    """Turn a failure to reach or use the server into UnavailableError or ResourceExhaustedError.

    `on_failure` is called for each. Any other error passes through.
    """
    try:
        yield
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        DBAPIError,
        PoolTimeoutError,
        OSError,
    ) as error:
        state = sqlstate_of(error)
        if state.startswith(_FULL):
            on_failure()
            raise ResourceExhaustedError(
                "The database has no room left. An operator must make room; nothing was changed.",
                reason="STORAGE_FULL",
            ) from error
        if state.startswith(_AWAY) or (not state and _lost_connection(error)):
            on_failure()
            raise unavailable() from error
        raise
