"""One subscriber of the stream: from its position to the end of the log, and on."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.eventlog.frames import message
from tocsin.common.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tocsin.alert.domain.event import Position
    from tocsin.alert.eventlog.broadcast import Broadcast, Cursor
    from tocsin.alert.eventlog.filter import EventFilter
    from tocsin.alert.eventlog.run import Run

# Bookmarks are spread, or all whom an event was sent to would be due at once, but not evenly: what
# is sent to several at the same moment costs half of what it costs alone.
_SPREAD = 0.1
_MOMENTS = 40


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """Bounds of every stream.

    A message has at most `entries`, and no more once they have reached `frame_bytes`: far below
    the 4 MiB that a gRPC client takes by default. One that is sent nothing for `bookmark_every`,
    or for up to an eighth less, is sent a bookmark; one that takes nothing for `write_patience` is
    dropped.
    """

    entries: int = 500
    frame_bytes: int = 2**20
    bookmark_every: timedelta = timedelta(seconds=10)
    write_patience: timedelta = timedelta(seconds=30)


class Subscriber:
    """Sends to one subscriber, and keeps its cursor.

    `read_page` reads what follows a revision from the database, and tells the least that the head
    of the log was then: it is asked when the cursor is no longer in the broadcast. `write` is
    given serialised WatchEventsResponses.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        read_page: Callable[[UUID, int], Awaitable[tuple[Run, int]]],
        write: Callable[[bytes], Awaitable[None]],
        *,
        limits: WatchLimits,
        wanted: EventFilter,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._broadcast = broadcast
        self._read_page = read_page
        self._write = write
        self._limits = limits
        self._wanted = wanted
        self._chance = chance
        self._clock = asyncio.get_running_loop().time
        self._bookmark_due = self._clock()
        self._told_caught_up = False

    async def follow(self, position: Position, place: Cursor) -> None:
        """Send all that follows a position, and note in `place` how far that is.

        Ends only by an error.
        """
        epoch, cursor = position.epoch, position.revision
        while True:
            place.revision = cursor
            changed = self._broadcast.changed
            self._broadcast.check(epoch)
            run, head = await self._next(epoch, cursor)
            cursor = run.last
            caught_up = self._broadcast.is_live and cursor >= head
            if events := run.message(self._wanted, caught_up=caught_up):
                await self.send(events, caught_up=caught_up)
            elif self._is_bookmark_due(caught_up=caught_up):
                bookmark = message((), epoch, cursor, caught_up=caught_up)
                await self.send(bookmark, caught_up=caught_up)
            elif run.entries:
                await asyncio.sleep(0)
            if not run.entries:
                await self._wait(changed)

    async def send(self, message: bytes, *, caught_up: bool = False) -> None:
        """Write a message; one not taken in time raises ResourceExhaustedError."""
        patience = self._limits.write_patience.total_seconds()
        try:
            async with asyncio.timeout(patience) as timeout:
                await self._write(message)
        except TimeoutError:
            if not timeout.expired():
                raise
            raise ResourceExhaustedError(
                f"Nothing was read for {patience:g} s. Resume from the last position received.",
                reason="SLOW_SUBSCRIBER",
            ) from None
        self._told_caught_up = caught_up
        self._put_off_bookmark()

    async def _next(self, epoch: UUID, cursor: int) -> tuple[Run, int]:
        recent = self._broadcast.after(cursor, self._limits.entries, self._limits.frame_bytes)
        if recent is not None:
            return recent, self._broadcast.head
        run, head = await self._read_page(epoch, cursor)
        return run, max(head, self._broadcast.head)

    def _is_bookmark_due(self, *, caught_up: bool) -> bool:
        """Whether to say where the subscriber stands: at first, when it has caught up, in time."""
        return (caught_up and not self._told_caught_up) or self._clock() >= self._bookmark_due

    def _put_off_bookmark(self) -> None:
        within = self._limits.bookmark_every.total_seconds()
        due = self._clock() + within * (1 - _SPREAD * self._chance())
        self._bookmark_due = due - due % (within / _MOMENTS)

    async def _wait(self, changed: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._bookmark_due):
                await changed.wait()
