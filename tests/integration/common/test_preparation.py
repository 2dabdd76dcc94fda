from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from support.postgres import migrations_of
from support.waiting import eventually
from tocsin.common.postgres.preparation import prepare
from tocsin.common.postgres.revisions import (
    MigrationError,
    current_revision,
    head_revision,
)

if TYPE_CHECKING:
    from tocsin.common.postgres.embedded import Cluster

SCRIPTS = migrations_of("alert")
LONG = timedelta(seconds=60)
THE_LOCK = 0x746F6373696E
# Between two looks at the lock, whoever waits for it rests after a rollback.
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'rollback%'"


async def test_a_database_that_dies_while_it_is_prepared_is_waited_for(
    own_cluster: Cluster,
) -> None:
    url = await asyncio.to_thread(own_cluster.create_database, "tocsin_alert")
    holder = await asyncpg.connect(url)
    await holder.execute(f"SELECT pg_advisory_lock({THE_LOCK})")
    preparing = asyncio.create_task(prepare(url, SCRIPTS, patience=LONG))

    async def is_at_work() -> bool:
        return bool(await holder.fetchval(f"{WAITING} AND pid <> pg_backend_pid()"))

    await eventually(is_at_work)
    await asyncio.to_thread(own_cluster.kill)
    await asyncio.to_thread(own_cluster.start)
    holder.terminate()
    await preparing

    assert head_revision(SCRIPTS) == await current_revision(url)


async def test_an_old_schema_is_told_when_it_is_only_looked_at(empty_url: str) -> None:
    with pytest.raises(MigrationError, match="Migrate it first"):
        await prepare(empty_url, SCRIPTS, patience=timedelta(), migrate_first=False)
