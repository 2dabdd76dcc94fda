"""Follows the event stream: each batch becomes inbox rows, deliveries and a position, all in one.

Where it begins: a first start takes a snapshot. It remembers the alerts that are open without
telling them (a new installation does not ring for the past) and follows from that position. Every
later start resumes after the stored position; when that one is void, the subscription compares
with the alerts that are remembered and makes up for the difference.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.client.subscription import EventSubscription
from tocsin.common.errors import UnavailableError
from tocsin.common.lifecycle import BackgroundLoop
from tocsin.notify.domain.flap import NEVER_FLAPPING
from tocsin.notify.follower.convert import to_alerts, to_known, to_position
from tocsin.notify.follower.intake import Intake
from tocsin.notify.follower.leadership import leading
from tocsin.notify.store import inbox, known_alerts

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg
    import grpc.aio

    from tocsin.client.batch import StreamBatch
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.flap import FlapRule
    from tocsin.notify.store.inbox import Cursor

_log = structlog.get_logger(__name__)

STANDBY_REST = timedelta(seconds=1)
AGAIN_AFTER = timedelta(milliseconds=100)


class Follower:
    """Takes the event stream into the inbox, while no other replica does.

    `on_commit` is called from the event loop after each batch of events that is kept, and when it
    has first come to the end of the log.
    """

    def __init__(
        self,
        database: Database,
        alert_channel: grpc.aio.Channel,
        *,
        clock: Clock,
        on_commit: Callable[[], None],
        flap_rule: FlapRule = NEVER_FLAPPING,
    ) -> None:
        self._database = database
        self._alert_channel = alert_channel
        self._clock = clock
        self._on_commit = on_commit
        self._intake = Intake(clock, flap_rule=flap_rule)
        self._kept = 0
        self._well = False
        self._began = False
        self._caught_up = False
        # Nothing is lost by an interruption: what is not committed is read again.
        self._loop = BackgroundLoop("follower", self._step, grace=timedelta())

    @property
    def is_well(self) -> bool:
        """Whether another replica follows, or the stream is connected and its beginning is kept.

        Whatever is committed from then on will be told.
        """
        return self._well and self._began and self._loop.is_running

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def _step(self) -> timedelta:
        """Follow until something breaks, or wait for the turn to."""
        kept = self._kept
        try:
            async with leading(self._database) as connection:
                if connection is None:
                    self._well = self._began = True
                    return STANDBY_REST
                self._well = False
                await self._follow(connection)
        except inbox.CursorMovedError:
            _log.warning("follower_overtaken", detail="another replica moved the position")
        except UnavailableError as error:
            self._well = False
            if self._kept == kept:
                raise
            _log.warning("follower_interrupted", error=error.message)
        return AGAIN_AFTER

    async def _follow(self, connection: asyncpg.Connection) -> None:
        cursor = await inbox.read_cursor(connection)
        self._began = cursor is not None
        self._intake.begin()
        bare = await known_alerts.read_bare_payloads(connection)
        await known_alerts.keep(connection, to_known(bare))
        subscription = EventSubscription(
            self._alert_channel,
            after=None if cursor is None else to_position(cursor),
            on_first="snapshot_known",
            known=to_alerts(await known_alerts.read_payloads(connection)),
            on_state=self._set_well,
            clock=self._clock,
        )
        async with subscription:
            async for batch in subscription:
                cursor = await self._take_in(connection, cursor, batch)

    async def _take_in(
        self, connection: asyncpg.Connection, before: Cursor | None, batch: StreamBatch
    ) -> Cursor:
        if before is not None and not batch.events and to_position(before) == batch.position:
            if batch.caught_up:
                await inbox.note_caught_up(connection, before, self._clock.now())
                self._tell_caught_up()
            return before
        after = await self._intake.keep(connection, before, batch)
        self._kept += 1
        self._began = True
        if batch.events:
            self._on_commit()
        elif batch.caught_up:
            self._tell_caught_up()
        return after

    def _tell_caught_up(self) -> None:
        """Let what waits for it begin."""
        if not self._caught_up:
            self._caught_up = True
            self._on_commit()

    def _set_well(self, connected: bool) -> None:
        self._well = connected
