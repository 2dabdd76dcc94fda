from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from support.waiting import Recorder, eventually
from tocsin.common.postgres.listener import Listener

if TYPE_CHECKING:
    from tocsin.common.postgres.embedded import Cluster

pytestmark = pytest.mark.postgres


async def run(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def listeners(url: str) -> object:
    return await run(
        url, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tocsin listen bell'"
    )


async def test_it_hears_what_is_told_on_its_channel_and_nothing_else(empty_url: str) -> None:
    heard = Recorder[str]()
    listener = Listener(empty_url, "bell", heard)
    await listener.start()
    try:
        await heard.count(1)
        await run(empty_url, "NOTIFY other, 'no'")
        await run(empty_url, "NOTIFY bell, 'ding'")
        await run(empty_url, "NOTIFY bell, 'dong'")

        assert ["", "ding", "dong"] == await heard.count(3)
    finally:
        await listener.stop()
    assert not await listeners(empty_url)


async def test_after_the_server_died_it_comes_back_and_says_so(own_cluster: Cluster) -> None:
    url = own_cluster.url()
    heard = Recorder[str]()
    listener = Listener(url, "bell", heard)
    await listener.start()
    try:
        await heard.count(1)
        await asyncio.to_thread(own_cluster.kill)
        await asyncio.to_thread(own_cluster.start)

        assert ["", ""] == await heard.count(2)
        await run(url, "NOTIFY bell, 'ding'")
        assert ["", "", "ding"] == await heard.count(3)
    finally:
        await listener.stop()


async def test_it_may_start_before_the_database_does(own_cluster: Cluster) -> None:
    url = own_cluster.url()
    await asyncio.to_thread(own_cluster.stop)
    heard = Recorder[str]()
    listener = Listener(url, "bell", heard)
    await listener.start()
    try:
        await asyncio.to_thread(own_cluster.start)
        assert [""] == await heard.count(1)
    finally:
        await listener.stop()


async def test_a_connection_that_the_server_ends_is_replaced(empty_url: str) -> None:
    heard = Recorder[str]()
    listener = Listener(empty_url, "bell", heard)
    await listener.start()
    try:
        await heard.count(1)
        await run(
            empty_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'tocsin listen bell'",
        )
        assert ["", ""] == await heard.count(2)
    finally:
        await listener.stop()


async def test_a_callback_that_fails_does_not_end_the_listening(empty_url: str) -> None:
    heard = Recorder[str]()

    def fails_once(payload: str) -> None:
        heard(payload)
        if payload == "bad":
            raise KeyError(payload)

    listener = Listener(empty_url, "bell", fails_once)
    await listener.start()
    try:
        await heard.count(1)
        await run(empty_url, "NOTIFY bell, 'bad'")
        await run(empty_url, "NOTIFY bell, 'good'")
        assert ["", "bad", "good"] == await heard.count(3)
    finally:
        await listener.stop()


async def test_stopping_while_the_database_is_away_takes_no_time(own_cluster: Cluster) -> None:
    await asyncio.to_thread(own_cluster.stop)
    listener = Listener(own_cluster.url(), "bell", Recorder[str]())
    await listener.start()
    async with asyncio.timeout(5):
        await listener.stop()
        await listener.stop()


async def test_a_stopped_listener_holds_no_connection_and_may_start_again(empty_url: str) -> None:
    heard = Recorder[str]()
    listener = Listener(empty_url, "bell", heard)
    for times in (1, 2):
        await listener.start()
        await heard.count(times)
        await listener.stop()

    async def gone() -> bool:
        return not await listeners(empty_url)

    await eventually(gone)
