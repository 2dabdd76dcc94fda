"""The inbox transaction: a batch of the stream is kept with all that follows, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import structlog

from tocsin.common.ids import uuid7
from tocsin.common.postgres.failures import sqlstate_of
from tocsin.notify.follower.convert import Arrivals, arrivals, quarantined
from tocsin.notify.store import inbox, known_alerts

if TYPE_CHECKING:
    from tocsin.client.batch import StreamBatch
    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.notify.store.inbox import Cursor, InboxEvent

_log = structlog.get_logger(__name__)

# Data that the server refuses: bad values, broken constraints, limits of the program.
_REFUSED = ("22", "23", "54")


class Intake:
    """Keeps batches of the stream on a connection that the caller lends."""

    def __init__(self, clock: Clock, new_id: NewId = uuid7) -> None:
        self._clock = clock
        self._new_id = new_id

    async def keep(
        self, connection: asyncpg.Connection, before: Cursor | None, batch: StreamBatch
    ) -> Cursor:
        """Keep a batch that follows on `before`, and return the position after it.

        In one transaction: the position moves, new events go into the inbox, each is addressed to
        every enabled channel, and what is known of their alerts follows. An event that cannot be
        rendered, or that the database refuses, is quarantined.

        Raises CursorMovedError when the position is not at `before` any more, UnreadableError for
        an unreadable position of the batch.
        """
        came = arrivals(batch)
        try:
            await self._transaction(connection, before, came)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not _is_refused_data(error):
                raise
            came = await self._sorted_out(connection, came, batch)
            await self._transaction(connection, before, came)
        _tell_quarantine(came)
        return came.cursor

    async def _transaction(
        self, connection: asyncpg.Connection, before: Cursor | None, came: Arrivals
    ) -> None:
        now = self._clock.now()
        async with connection.transaction():
            if before is None:
                await inbox.begin_at(connection, came.cursor, now)
            else:
                await inbox.advance(connection, before, came.cursor, now)
            await inbox.take_in(connection, came.events, now, self._new_id)
            await known_alerts.keep(connection, came.known.values())
            await known_alerts.forget(connection, came.resolved)

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
            await inbox.take_in(connection, [event], self._clock.now(), self._new_id)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not _is_refused_data(error):
                raise
            return f"the database refuses it: {error}"
        finally:
            await attempt.rollback()
        return None


def _is_refused_data(error: Exception) -> bool:
    # asyncpg refuses what it cannot encode by itself, with an error that is a ValueError too.
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
