"""An upgrade keeps what is needed to go on with what was delivered before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from support.notify_ground import OK, Ground
from tocsin.common.clock import SystemClock
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.schema import metadata_differences
from tocsin.common.postgres.upgrade import _connected, upgrade
from tocsin.notify.app import MIGRATIONS
from tocsin.notify.domain.notification import Notification
from tocsin.notify.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

pytestmark = pytest.mark.postgres


def _down(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.downgrade(config, "notify0001")


async def test_what_was_told_before_routes_existed_is_known_after_the_upgrade(
    notify_url: str,
) -> None:
    database = Database(notify_url, application_name="tests")
    ground = Ground(database, SystemClock())
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    for claim in await queue.claim(channel_id, 1):
        await queue.settle(claim, OK)
    await ground.resolved(1)
    await ground.raised(2)
    await database.close()

    async with _connected(notify_url) as connection:
        await connection.run_sync(_down)
        await connection.commit()
    await upgrade(notify_url, MIGRATIONS)

    again = Database(notify_url, application_name="tests")
    ground = Ground(again, SystemClock())
    assert {(True, True), (False, False)} == set(
        await ground.rows(
            "SELECT maybe_told, is_over FROM tellings WHERE channel_id = $1", channel_id
        )
    )
    await again.close()
    assert [] == await metadata_differences(notify_url, metadata)


async def test_of_several_that_waited_the_newest_is_left_after_the_upgrade(notify_url: str) -> None:
    database = Database(notify_url, application_name="tests")
    ground = Ground(database, SystemClock())
    channel_id = await ground.channel()
    await ground.raised(1)
    [sending] = await ground.queue().claim(channel_id, 1)
    for _ in range(3):
        await ground.changed(1, 3)
    await ground.raised(2)
    await database.close()
    async with _connected(notify_url) as connection:
        await connection.run_sync(_down)
        await connection.execute(text("UPDATE deliveries SET state = 1 WHERE state = 4"))
        await connection.commit()

    await upgrade(notify_url, MIGRATIONS)

    again = Database(notify_url, application_name="tests")
    ground = Ground(again, SystemClock())
    deliveries = await ground.of(channel_id)
    assert [2, 7, 7, 1, 1] == [each.state for each in deliveries]
    assert [0, 0, 0, 2, 0] == [each.collapsed_count for each in deliveries]
    assert {deliveries[3].delivery_id} == {each.held_by for each in deliveries[1:3]}
    assert await ground.queue().settle(sending, OK)
    assert [4, 5] == [
        claim.message.revision
        for claim in await ground.queue().claim(channel_id, 8)
        if isinstance(claim.message, Notification)
    ]
    await again.close()
