"""A server that lets somebody in, and is gone before anything was said."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
import uvloop

from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.connecting import connect, database_url
from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

_connect = asyncpg.connect


async def _let_in_and_leave(dsn: str, **options: Any) -> asyncpg.Connection:
    connection = await _connect(dsn, **options)
    connection._transport.abort()
    await asyncio.sleep(0)
    return connection


async def meet_a_server_that_leaves(url: str) -> None:
    with pytest.raises(ConnectionResetError):
        await connect(database_url(url))
    database = Database(url, application_name="tests")
    with pytest.raises(UnavailableError):
        async with database.connection():
            raise AssertionError
    await database.close()


def test_a_connection_that_ends_as_it_begins_is_one_to_a_server_that_is_away(
    monkeypatch: pytest.MonkeyPatch, postgres_server: Any
) -> None:
    monkeypatch.setattr(asyncpg, "connect", _let_in_and_leave)
    for new_loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(meet_a_server_that_leaves(postgres_server.cluster.url()))
