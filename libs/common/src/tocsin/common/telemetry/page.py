"""A few pages over HTTP for probes and for Prometheus: GET, one answer, and good-bye.

It stands on a port of its own that need not be open to callers of the service, takes no body,
keeps no connection, and gives each client a few seconds: whoever is slow hurts only themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_log = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 5.0
"""How long a client may take to ask, and how long the answer may take to be made and read."""

MOST_AT_ONCE: Final = 32
_HEAD_BYTES: Final = 16_384
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered."""

    body: bytes
    content_type: str = _TEXT
    status: HTTPStatus = HTTPStatus.OK


class PageServer:
    """Serves pages by their paths. What makes a page is given the request's Accept header."""

    def __init__(self, listen: str, pages: Mapping[str, Callable[[str], Awaitable[Page]]]) -> None:
        """`listen` is `host:port`, port 0 for a free one."""
        self.port = 0
        self._listen = listen
        self._pages = dict(pages)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; `port` says where. Raises OSError when the address cannot be had."""
        if self._server is not None:
            return
        host, _, port = self._listen.rpartition(":")
        self._server = await asyncio.start_server(
            self._meet, host.strip("[]"), int(port), limit=_HEAD_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for client in tuple(self._clients):
                client.cancel()
            await server.wait_closed()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= MOST_AT_ONCE:
            writer.transport.abort()
            return
        self._clients.add(task)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await _answer(writer, await self._page(await reader.readuntil(b"\r\n\r\n")))
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            writer.close()
            self._clients.discard(task)

    async def _page(self, head: bytes) -> Page:
        lines = head.decode("latin-1").split("\r\n")
        method, _, target = lines[0].partition(" ")
        if method != "GET":
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        make = self._pages.get(target.partition(" ")[0].partition("?")[0])
        if make is None:
            return _plain(HTTPStatus.NOT_FOUND)
        try:
            return await make(_accept(lines[1:]))
        except Exception:  # noqa: BLE001 - a page that fails must not end the service
            _log.exception("page_failed", path=target.partition(" ")[0])
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _accept(lines: list[str]) -> str:
    headers = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in headers if name.lower() == "accept"), "")


def _plain(status: HTTPStatus) -> Page:
    return Page(f"{status.phrase}\n".encode(), status=status)


async def _answer(writer: asyncio.StreamWriter, page: Page) -> None:
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode("latin-1") + page.body)
    await writer.drain()
