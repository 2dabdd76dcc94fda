"""Listens for NOTIFY over a connection of its own. A hint only: the rows are the truth."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.common.backoff import Backoff
from tocsin.common.lifecycle import BackgroundLoop
from tocsin.common.postgres.connecting import connect, database_url
from tocsin.common.postgres.failures import told_plainly

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

_log = structlog.get_logger()

_CONNECT_SECONDS = 5.0
# A connection can die without a word (a firewall, a pulled cable): ask it now and then.
_CHECK_SECONDS = 30.0
_BACKOFF = Backoff(first=timedelta(milliseconds=100), ceiling=timedelta(seconds=5))


class Listener:
    """Calls `on_notify` with the payload of each notification on a channel.

    After each connection it calls `on_notify("")` once, the first included: whatever came before
    went unheard. It reconnects by itself, for ever. It needs a direct connection: a pooler in
    transaction mode forgets LISTEN.
    """

    def __init__(self, url: str, channel: str, on_notify: Callable[[str], None]) -> None:
        self._url = database_url(url)
        self._channel = channel
        self._on_notify = on_notify
        self._loop = BackgroundLoop(
            f"listen:{channel}", self._listen_once, backoff=_BACKOFF, grace=timedelta()
        )

    async def start(self) -> None:
        """Begin to listen, at once or as soon as the database answers."""
        await self._loop.start()

    async def stop(self) -> None:
        """Close the connection. After that `on_notify` is not called any more."""
        await self._loop.stop()

    async def _listen_once(self) -> timedelta:
        """Listen until the connection is lost."""
        with told_plainly():
            connection = await connect(
                self._url,
                timeout=_CONNECT_SECONDS,
                server_settings={"application_name": f"tocsin listen {self._channel}"},
            )
            try:
                await self._listen_on(connection)
            finally:
                connection.terminate()
        return _BACKOFF.first

    async def _listen_on(self, connection: asyncpg.Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(self._channel, self._hear)
        self._tell("")
        while not lost.is_set():
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    await lost.wait()
            except TimeoutError:
                await connection.fetchval("SELECT 1", timeout=_CONNECT_SECONDS)
        _log.warning("listener_lost_its_connection", channel=self._channel)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._tell(payload)

    def _tell(self, payload: str) -> None:
        try:
            self._on_notify(payload)
        except Exception:  # noqa: BLE001 - a listener outlives what it calls
            _log.exception("listener_callback_failed", channel=self._channel)
