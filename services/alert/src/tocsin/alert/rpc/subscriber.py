"""One subscriber of the stream: from its position to the end of the log, and on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.event import Position
from tocsin.common.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.eventlog.filter import EventFilter
    from tocsin.alert.eventlog.log import Entry


@dataclass(frozen=True, slots=True)
class WatchMessage:
    """One message of the stream. `snapshot_alerts` are alerts that are serialised already."""

    position: Position
    entries: tuple[Entry, ...] = ()
    snapshot_alerts: tuple[bytes, ...] = ()
    caught_up: bool = False
    snapshot_complete: bool = False


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """Bounds of every stream.

    A message has at most `entries`, and no more once they have reached `payload_bytes`: far below
    the 4 MiB that a gRPC client takes by default. One that is sent nothing for `bookmark_every`
    is sent a bookmark; one that takes nothing for `write_patience` is dropped.
    """

    entries: int = 500
    payload_bytes: int = 2**20
    bookmark_every: timedelta = timedelta(seconds=10)
    write_patience: timedelta = timedelta(seconds=30)


class Subscriber:
    """Sends to one subscriber, and keeps its cursor.

    `read_page` reads the entries after a revision from the database, with the log's head: it is
    asked when the cursor is no longer in the broadcast.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        read_page: Callable[[UUID, int], Awaitable[tuple[tuple[Entry, ...], int]]],
        write: Callable[[WatchMessage], Awaitable[None]],
        *,
        limits: WatchLimits,
        wanted: EventFilter,
    ) -> None:
        self._broadcast = broadcast
        self._read_page = read_page
        self._write = write
        self._limits = limits
        self._wanted = wanted
        self._clock = asyncio.get_running_loop().time
        self._bookmark_due = self._clock()
        self._told_caught_up = False

    async def follow(self, position: Position) -> None:
        """Send all that follows a position. Ends only by an error."""
        cursor = position.revision
        while True:
            changed = self._broadcast.changed
            self._broadcast.check(position.epoch)
            entries, head = await self._next(position.epoch, cursor)
            if entries:
                cursor = entries[-1].revision
            caught_up = self._broadcast.is_live and cursor >= head
            at = Position(position.epoch, cursor)
            if picked := self._wanted.pick(entries):
                await self.send(WatchMessage(at, picked, caught_up=caught_up))
            elif self._is_bookmark_due(caught_up):
                await self.send(WatchMessage(at, caught_up=caught_up))
            elif entries:
                await asyncio.sleep(0)
            if not entries:
                await self._wait(changed)

    async def send(self, message: WatchMessage) -> None:
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
        self._told_caught_up = message.caught_up
        self._bookmark_due = self._clock() + self._limits.bookmark_every.total_seconds()

    async def _next(self, epoch: UUID, cursor: int) -> tuple[tuple[Entry, ...], int]:
        recent = self._broadcast.after(cursor, self._limits.entries, self._limits.payload_bytes)
        if recent is not None:
            return recent, self._broadcast.head
        return await self._read_page(epoch, cursor)

    def _is_bookmark_due(self, caught_up: bool) -> bool:
        """Whether to say where the subscriber stands: at first, when it has caught up, in time."""
        return (caught_up and not self._told_caught_up) or self._clock() >= self._bookmark_due

    async def _wait(self, changed: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._bookmark_due):
                await changed.wait()
