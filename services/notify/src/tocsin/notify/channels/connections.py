"""The connections of guarded HTTP: shared by attempts that overlap, and then closed.

A connection that rests may have been closed by the far side without our knowing, and what is sent
on it may or may not arrive. So none outlives the attempts under way: a storm reuses what it has
just used, and what comes alone makes its own. Every address is judged when it is dialled. A name
that leads elsewhere by now is heeded within `LONGEST_LIFE` seconds.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tocsin.notify.channels.names import Names

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from aiohttp.client import ClientRequest, ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from tocsin.notify.channels.address_guard import Dialer
    from tocsin.notify.channels.names import AddrInfo

LONGEST_LIFE: Final = 30.0
"""For how many seconds new attempts share the connections of those before."""

LONGEST_REST: Final = 1.0
"""After how many seconds a connection that rests is not used again, while others are used."""

# Whose attempt dials: one connection serves many attempts, and each tells what it met itself.
_dialer: ContextVar[Dialer] = ContextVar("dialer")
_progress: ContextVar[Progress] = ContextVar("progress")

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Progress:
    """How far an attempt came: before it had a connection, nothing can have been taken in."""

    def __init__(self) -> None:
        self.is_connected = False


class _Shared:
    """A session, and how many use it."""

    def __init__(self, session: aiohttp.ClientSession, until: float) -> None:
        self.session = session
        self.until = until
        self.users = 0


class Connections:
    """Lends sessions whose connections go only where the attempt's dialer lets them."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._names = Names()
        self._current: _Shared | None = None

    @asynccontextmanager
    async def lent(
        self, dialer: Dialer, progress: Progress
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Lend a session for one request, made by the task that borrows it."""
        shared = self._shared()
        shared.users += 1
        dialling, progressing = _dialer.set(dialer), _progress.set(progress)
        try:
            yield shared.session
        finally:
            _dialer.reset(dialling)
            _progress.reset(progressing)
            shared.users -= 1
            if shared.users == 0:
                if self._current is shared:
                    self._current = None
                await shared.session.close()

    def _shared(self) -> _Shared:
        now = asyncio.get_running_loop().time()
        if self._current is None or self._current.until <= now:
            self._current = _Shared(self._session(), now + LONGEST_LIFE)
        return self._current

    def _session(self) -> aiohttp.ClientSession:
        connector = _Connector(
            socket_factory=_open_socket,
            resolver=_Resolver(self._names),
            ssl=self._tls,
            limit=0,  # each channel has its own limit; none waits for another's
            keepalive_timeout=LONGEST_REST,
            use_dns_cache=False,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
        )


class _Connector(aiohttp.TCPConnector):
    """Notes when an attempt has its connection, new or used before: traces cost more than that."""

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp names it
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _progress.get().is_connected = True
        return connection


class _Resolver(AbstractResolver):
    """Looks up names for aiohttp."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.addresses(host, port, family=family, flags=socket.AI_ADDRCONFIG)
        return [
            ResolveResult(
                hostname=host,
                host=sockaddr[0],
                port=sockaddr[1],
                family=of_family,
                proto=protocol,
                flags=_NUMERIC,
            )
            for of_family, _, protocol, _, sockaddr in found
        ]

    async def close(self) -> None:
        """Nothing is held open: look-ups end by themselves."""


def _open_socket(addr_info: AddrInfo) -> socket.socket:
    return _dialer.get().open_socket(addr_info)
