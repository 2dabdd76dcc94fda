"""A few pages over HTTP, and clients that do not behave."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from support.telemetry import page
from support.waiting import WITHIN_SECONDS, eventually
from tocsin.common.telemetry import page as page_module
from tocsin.common.telemetry.page import Page, PageServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def well(accept: str) -> Page:
    return Page(f"well: {accept}\n".encode())


async def broken(accept: str) -> Page:
    raise RuntimeError("no page")


@asynccontextmanager
async def serving(listen: str = "127.0.0.1:0") -> AsyncIterator[PageServer]:
    server = PageServer(listen, {"/well": well, "/broken": broken})
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def said(port: int, request: bytes) -> bytes:
    """Say something to the server, and return all that it answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(WITHIN_SECONDS):
        writer.write(request)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def test_a_page_is_found_by_its_path_whatever_is_asked_of_it() -> None:
    async with serving() as server:
        assert (200, "well: text/plain\n") == await page(server.port, "/well", "text/plain")
        assert 200 == (await page(server.port, "/well?verbose=1"))[0]
        assert (404, "Not Found\n") == await page(server.port, "/nothing")


async def test_only_get_is_answered() -> None:
    async with serving() as server:
        answer = await said(server.port, b"POST /well HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


async def test_a_page_that_fails_tells_nothing_of_the_inside() -> None:
    async with serving() as server:
        assert (500, "Internal Server Error\n") == await page(server.port, "/broken")
        assert 200 == (await page(server.port, "/well"))[0]


@pytest.mark.parametrize(
    "request_",
    [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET /well HTTP/1.1\r\n" + b"x" * 70_000],
    ids=["tls", "nothing asked", "endless"],
)
async def test_what_makes_no_sense_ends_the_connection_and_nothing_else(request_: bytes) -> None:
    async with serving() as server:
        assert not (await said(server.port, request_)).startswith(b"HTTP/1.1 200")
        assert 200 == (await page(server.port, "/well"))[0]


async def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "PATIENCE_SECONDS", 0.05)
    async with serving() as server:
        assert b"" == await said(server.port, b"GET /well HTTP/1.1\r\n")


async def test_more_clients_than_there_is_room_for_are_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_module, "MOST_AT_ONCE", 1)
    async with serving() as server:
        first = asyncio.create_task(said(server.port, b"GET /well HTTP/1.1\r\n"))
        await eventually(lambda: server._clients)
        assert b"" == await said(server.port, b"GET /well HTTP/1.1\r\n\r\n")
        await server.stop()
        await first


async def test_the_port_is_free_again_at_once() -> None:
    async with serving() as server:
        port = server.port
    async with serving(f"127.0.0.1:{port}"):
        assert 200 == (await page(port, "/well"))[0]
