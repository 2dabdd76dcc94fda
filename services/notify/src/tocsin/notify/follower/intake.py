"""The inbox transaction: a batch of the stream is kept with all that follows, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import structlog

from tocsin.common.ids import uuid7
from tocsin.common.postgres.failures import sqlstate_of
from tocsin.notify.domain.flap import NEVER_FLAPPING
from tocsin.notify.follower import flaps
from tocsin.notify.follower.addressing import Addressing
from tocsin.notify.follower.convert import Arrivals, arrivals, quarantined
from tocsin.notify.store import decisions, deliveries_waiting, inbox, routes
from tocsin.notify.store.inbox import InboxWrite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tocsin.client.batch import StreamBatch
    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.notify.domain.flap import FlapRule
    from tocsin.notify.domain.route import Route
    from tocsin.notify.store.inbox import Cursor, InboxEvent

_log = structlog.get_logger(__name__)

# Data that the server refuses: bad values, broken constraints, limits of the program.
_REFUSED = ("22", "23", "54")
# Somebody else was quicker (a unique index said so) or in the way: no fault of the data.
_IN_THE_WAY = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError)
_TRIES = 3


class Intake:
    """Keeps batches of the stream on a connection that the caller lends."""

    def __init__(
        self, clock: Clock, new_id: NewId = uuid7, flap_rule: FlapRule = NEVER_FLAPPING
    ) -> None:
        self._clock = clock
        self._flap_rule = flap_rule
        self._new_id = new_id
        # The stamp of the routes that were read last, and these.
        self._routes: tuple[str, Sequence[Route]] = ("", ())

    def begin(self) -> None:
        """Forget what was read: from here on it may be another database, restored in its place."""
        self._routes = ("", ())

    async def keep(
        self, connection: asyncpg.Connection, before: Cursor | None, batch: StreamBatch
    ) -> Cursor:
        """Keep a batch that follows on `before`, and return the position after it.

        In one transaction: the position moves, new events go into the inbox, each is addressed to
        whom the routes name and to whoever heard of its alert before, and what is known of their
        alerts follows. An event that cannot be rendered, or that the database refuses, is
        quarantined.

        Raises CursorMovedError when the position is not at `before` any more, UnreadableError for
        an unreadable position of the batch.
        """
        came = arrivals(batch)
        try:
            await self._persistently(connection, before, came, caught_up=batch.caught_up)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not _is_refused_data(error):
                raise
            came = await self._sorted_out(connection, came, batch)
            await self._persistently(connection, before, came, caught_up=batch.caught_up)
        _tell_quarantine(came)
        return came.cursor

    async def _persistently(
        self,
        connection: asyncpg.Connection,
        before: Cursor | None,
        came: Arrivals,
        *,
        caught_up: bool,
    ) -> None:
        for _ in range(_TRIES - 1):
            try:
                await self._transaction(connection, before, came, caught_up=caught_up)
            except _IN_THE_WAY:
                continue
            return
        await self._transaction(connection, before, came, caught_up=caught_up)

    async def _transaction(
        self,
        connection: asyncpg.Connection,
        before: Cursor | None,
        came: Arrivals,
        *,
        caught_up: bool,
    ) -> None:
        now = self._clock.now()
        async with connection.transaction():
            if before is None:
                await inbox.begin_at(connection, came.cursor, now)
                if caught_up:
                    await inbox.note_caught_up(connection, came.cursor, now)
            write = InboxWrite(
                before,
                came.cursor,
                came.events,
                caught_up=caught_up,
                known=came.known.values(),
                resolved=came.resolved,
                raised=flaps.keys_of(came.events, self._flap_rule),
            )
            await self._take_in(connection, write, now)

    async def _take_in(
        self, connection: asyncpg.Connection, write: InboxWrite, now: datetime
    ) -> None:
        new = await inbox.take_in(connection, write, now)
        if not new.taken:
            return
        addressing = Addressing(
            await self._read_routes(connection, new.routes_stamp),
            new.channels,
            new.followers,
            new_id=self._new_id,
        )
        addressed = addressing.address(new.taken, now)
        flapping = await flaps.beginnings(
            connection,
            new,
            addressed.deliveries,
            rule=self._flap_rule,
            now=now,
            new_id=self._new_id,
        )
        await deliveries_waiting.address(connection, [*addressed.deliveries, *flapping], now)
        await decisions.add(connection, addressed.missed)

    async def _read_routes(self, connection: asyncpg.Connection, stamp: str) -> Sequence[Route]:
        """Return the routes, read again only when any of them has changed."""
        if self._routes[0] != stamp:
            # With their own stamp: they may have changed since, and may change back.
            self._routes = await routes.read_stamped(connection)
        return self._routes[1]

    async def _sorted_out(
        self, connection: asyncpg.Connection, came: Arrivals, batch: StreamBatch
    ) -> Arrivals:
        """Find the events that the database refuses, and put them into quarantine."""
        events = []
        for event, received in zip(came.events, batch.events, strict=True):
            refusal = await self._refusal(connection, event)
            events.append(event if refusal is None else quarantined(event, received, refusal))
        return replace(came, events=tuple(events))

    async def _refusal(self, connection: asyncpg.Connection, event: InboxEvent) -> str | None:
        """Try to keep one event, and undo it: why that fails, None when it does not."""
        attempt = connection.transaction()
        await attempt.start()
        try:
            write = InboxWrite(None, inbox.Cursor(event.epoch, event.revision), [event])
            await self._take_in(connection, write, self._clock.now())
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not _is_refused_data(error):
                raise
            return f"the database refuses it: {error}"
        finally:
            await attempt.rollback()
        return None


def _is_refused_data(error: Exception) -> bool:
    # asyncpg refuses what it cannot encode by itself, with an error that is a ValueError too.
    if isinstance(error, _IN_THE_WAY):
        return False
    return isinstance(error, ValueError) or sqlstate_of(error).startswith(_REFUSED)


def _tell_quarantine(came: Arrivals) -> None:
    for event in came.events:
        if event.quarantine_reason is not None:
            _log.error(
                "event_quarantined",
                event_id=str(event.event_id),
                revision=event.revision,
                reason=event.quarantine_reason,
            )
