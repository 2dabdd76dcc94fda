from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.reachable import (
    UnreachableError,
    is_reachable,
    wait_until_reachable,
)

if TYPE_CHECKING:
    from tocsin.common.postgres.embedded import Cluster

pytestmark = pytest.mark.postgres

LONG = timedelta(seconds=60)
NOWHERE = "postgresql://tocsin:hunter2@127.0.0.1:1/tocsin_alert"


async def test_a_database_that_is_there_is_reachable_at_once(empty_url: str) -> None:
    await wait_until_reachable(empty_url, timedelta())


async def test_one_that_comes_up_later_is_waited_for(own_cluster: Cluster) -> None:
    await asyncio.to_thread(own_cluster.stop)
    waiting = asyncio.create_task(wait_until_reachable(own_cluster.url(), LONG))

    await asyncio.to_thread(own_cluster.start)

    await waiting


async def test_one_that_does_not_come_up_is_named_without_its_password() -> None:
    with pytest.raises(UnreachableError) as caught:
        await wait_until_reachable(NOWHERE, timedelta(milliseconds=300))

    assert (
        "PostgreSQL at 127.0.0.1:1 (database tocsin_alert) does not answer "
        "(the connection is refused) after 0.3 s."
    ) == str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("/test_", "/no_"), "has no database of that name"),
        ((":", ":wrong"), "refuses"),
    ],
)
async def test_what_waiting_would_not_mend_is_told_at_once(
    empty_url: str, change: tuple[str, str], words: str
) -> None:
    scheme, rest = empty_url.split("://")
    old, new = change
    url = f"{scheme}://{rest.replace(old, new, 1)}"

    async with asyncio.timeout(10):
        with pytest.raises(UnreachableError, match=words):
            await wait_until_reachable(url, LONG)


async def test_reachable_says_what_is_true_now(own_cluster: Cluster) -> None:
    database = Database(own_cluster.url(), application_name="tests")

    assert await is_reachable(database)
    await asyncio.to_thread(own_cluster.stop)
    assert not await is_reachable(database)
    await database.close()
