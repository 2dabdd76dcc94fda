"""The connections of guarded HTTP: shared by attempts that overlap, and then closed.

A connection that rests may have been closed by the far side without our knowing, and what is sent
on it may or may not arrive. So none outlives the attempts under way: a storm reuses what it has
just used, and what comes alone makes its own. Every address is judged when it is dialled. A name
that leads elsewhere by now is heeded within `LONGEST_LIFE` seconds.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import aiohttp

from tocsin.notify.channels.names import Names, WebResolver

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator
    from types import SimpleNamespace

    from tocsin.notify.channels.address_guard import Dialer
    from tocsin.notify.channels.names import AddrInfo

LONGEST_LIFE: Final = 30.0
"""For how many seconds new attempts share the connections of those before."""

LONGEST_REST: Final = 1.0
"""After how many seconds a connection that rests is not used again, while others are used."""

# Whose attempt dials: one connection serves many attempts, and each tells what it met itself.
_dialer: ContextVar[Dialer] = ContextVar("dialer")


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
    async def lent(self, dialer: Dialer) -> AsyncIterator[aiohttp.ClientSession]:
        """Lend a session for one attempt. Give `trace_request_ctx=Progress()` to its request."""
        shared = self._shared()
        shared.users += 1
        token = _dialer.set(dialer)
        try:
            yield shared.session
        finally:
            _dialer.reset(token)
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
        connector = aiohttp.TCPConnector(
            socket_factory=_open_socket,
            resolver=WebResolver(self._names),
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
            trace_configs=[_trace()],
        )


def _open_socket(addr_info: AddrInfo) -> socket.socket:
    return _dialer.get().open_socket(addr_info)


def _trace() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(_connected)
    config.on_connection_reuseconn.append(_connected)
    return config


async def _connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.is_connected = True
