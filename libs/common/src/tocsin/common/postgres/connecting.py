"""The URL of a database, and how to connect to what it names."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_ABANDONED_SECONDS = 2.0
# A server that is gone without a word is noticed within 30 s, whether something was sent to it
# (the time until it must have been acknowledged, in ms) or the connection rests. By the names of
# the options: not every system has all.
_KEEPALIVE = {
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 25_000,
}


def database_url(text: str) -> URL:
    """Read a PostgreSQL URL, `postgresql://user:password@host:port/name`.

    Options such as `?sslmode=verify-full` may follow; they mean what they mean to libpq.

    Raises ValueError, without repeating the password, when it is none.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("is not a URL; write postgresql://user:password@host:port/name") from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ValueError("must begin with postgresql://")
    if not url.database:
        raise ValueError("names no database; write postgresql://user:password@host:port/name")
    return url.set(drivername="postgresql+asyncpg")


async def connect(url: URL, **options: Any) -> asyncpg.Connection:
    """Connect to what a `database_url` names. `options` are those of `asyncpg.connect`.

    A caller that is cancelled leaves at once. The attempt is then given a moment to come to its
    end: asyncpg, cancelled in the midst of the first handshake, leaves an error behind that
    nobody takes and that the log would tell of.

    Raises what asyncpg raises, and OSError.
    """
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    attempt = asyncio.ensure_future(asyncpg.connect(dsn, **options))
    try:
        connection = await asyncio.shield(attempt)
    except asyncio.CancelledError:
        attempt.add_done_callback(_close)
        asyncio.get_running_loop().call_later(_ABANDONED_SECONDS, attempt.cancel)
        raise
    _keep_alive(connection)
    return connection


def _keep_alive(connection: asyncpg.Connection) -> None:
    """Let the system ask now and then whether the server is still there.

    Raises ConnectionResetError when it has gone since it let us in: then there is no socket either.
    """
    end = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg has no option
    if end is None or end.family == getattr(socket, "AF_UNIX", None):
        return
    if end.fileno() < 0:
        connection.terminate()
        raise ConnectionResetError("The server ended the connection as it began.")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:
            end.setsockopt(socket.IPPROTO_TCP, option, value)


def _close(attempt: asyncio.Future[asyncpg.Connection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()
