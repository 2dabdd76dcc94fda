"""After a start nothing is sent until all that was committed meanwhile is known."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert_stubs import alert_id, an_alert, resolved
from support.notify import notify_settings, running_notify
from support.notify_ground import Ground, a_batch
from support.receiver import running_receiver
from support.scripted_log import Manners, ScriptedLog, serving
from support.waiting import eventually
from tocsin.common.clock import SystemClock
from tocsin.notify.app import NotifyApp
from tocsin.notify.channels.signature import new_secret
from tocsin.notify.store.catching_up import CatchingUp
from tocsin.notify.store.inbox import Cursor, note_caught_up, read_caught_up, read_cursor

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

PATIENCE = timedelta(minutes=5)


async def note(database: Database, clock: ManualClock) -> None:
    async with database.connection() as connection:
        cursor = await read_cursor(connection)
        assert cursor is not None
        await note_caught_up(connection, cursor, clock.now())


async def test_it_is_over_once_some_replica_has_come_to_the_end_since_the_start(
    notify_database: Database, clock: ManualClock
) -> None:
    catching_up = CatchingUp(notify_database, clock=clock, patience=PATIENCE)
    await Ground(notify_database, clock).keep(a_batch(revision=0))
    clock.advance(seconds=1)

    assert not await catching_up.is_over()
    catching_up.begin()
    assert not await catching_up.is_over()
    await note(notify_database, clock)
    assert await catching_up.is_over()
    catching_up.begin()
    clock.advance(seconds=1)
    assert await catching_up.is_over()


async def test_it_is_over_after_a_while_even_if_the_alert_service_is_away(
    notify_database: Database, clock: ManualClock
) -> None:
    catching_up = CatchingUp(notify_database, clock=clock, patience=PATIENCE)
    catching_up.begin()
    clock.advance(PATIENCE - timedelta(seconds=1))
    assert not await catching_up.is_over()
    clock.advance(seconds=1)
    assert await catching_up.is_over()


async def test_who_reads_after_another_position_notes_nothing(
    notify_database: Database, clock: ManualClock
) -> None:
    cursor = await Ground(notify_database, clock).keep(a_batch(revision=0))
    async with notify_database.connection() as connection:
        noted = await read_caught_up(connection)
        await note_caught_up(connection, Cursor(cursor.epoch, 7), clock.advance(seconds=9))

        assert noted == await read_caught_up(connection)


async def test_what_was_taken_back_while_it_was_down_is_not_told_after_a_restart(
    notify_url: str, notify_database: Database
) -> None:
    log, ground = ScriptedLog(), Ground(notify_database, SystemClock())
    async with running_receiver() as receiver, serving(log) as port:
        await ground.webhook(receiver.url, new_secret(lambda count: b"k" * count))
        async with running_notify(notify_url, f"127.0.0.1:{port}"):
            pass
        await ground.keep(a_batch(log.append(an_alert(1)), log.append(an_alert(2))))
        log.append(resolved(1))
        log.manners.extend([Manners(messages=0)] * 1_000)
        app = NotifyApp(notify_settings(notify_url, f"127.0.0.1:{port}"))
        await app.start()
        try:
            begun = len(log.watches)
            await eventually(lambda: len(log.watches) > begun + 3)
            assert [] == receiver.requests
            log.manners.clear()
            [request] = await receiver.wait_for(1)
        finally:
            await app.stop()

    assert alert_id(2) in request.body.decode()
