"""WatchEvents, free of its wire: where a stream starts, and what ends all of them.

`alert_service` makes a WatchRequest of a request and a response of each WatchMessage.
"""

from __future__ import annotations

import asyncio
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog import log
from tocsin.alert.eventlog.checks import entries_after, epoch_changed, start_after
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.eventlog.identity import UnsettledLogError
from tocsin.alert.rpc.snapshot import Spool, take_snapshot
from tocsin.alert.rpc.subscriber import Subscriber, WatchLimits, WatchMessage
from tocsin.common.errors import DataLossError, FieldViolation, InvalidArgumentError
from tocsin.common.postgres.patience import answered_in_time
from tocsin.common.rpc.draining import draining_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.eventlog.log import Entry
    from tocsin.common.postgres.engine import Database

# Of the connections for reading: the rest are for calls.
_PAGES_AT_ONCE = 3
_SNAPSHOTS_AT_ONCE = 1


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """Where a subscriber wants to start, and what it wants.

    At most one of `after`, `from_oldest` (the oldest event kept) and `snapshot` is given; with
    none of them the stream starts now.
    """

    after: Position | None = None
    from_oldest: bool = False
    snapshot: bool = False
    wanted: EventFilter = field(default_factory=EventFilter)


class Watch:
    """All streams of this process. `encode_alert` serialises an alert for the snapshot."""

    def __init__(
        self,
        database: Database,
        broadcast: Broadcast,
        *,
        encode_alert: Callable[[Alert], bytes],
        limits: WatchLimits | None = None,
    ) -> None:
        self._database = database
        self._broadcast = broadcast
        self._encode_alert = encode_alert
        self._limits = limits or WatchLimits()
        self._page_slots = asyncio.Semaphore(_PAGES_AT_ONCE)
        self._snapshot_slots = asyncio.Semaphore(_SNAPSHOTS_AT_ONCE)
        self._subscribers = 0

    @property
    def subscribers(self) -> int:
        """How many streams there are."""
        return self._subscribers

    def open(self) -> None:
        """Take on streams, also after a `drain`."""
        self._broadcast.reopen()

    def drain(self) -> None:
        """End every stream, and refuse new ones, with UnavailableError (DRAINING)."""
        self._broadcast.close(draining_error)

    async def stream(
        self, request: WatchRequest, write: Callable[[WatchMessage], Awaitable[None]]
    ) -> None:
        """Send messages until an error ends the stream: a TocsinError, or what `write` raises.

        Raises InvalidArgumentError, OutOfRangeError (REVISION_COMPACTED, REVISION_FUTURE),
        FailedPreconditionError (EPOCH_CHANGED), ResourceExhaustedError (SLOW_SUBSCRIBER),
        UnavailableError (DATABASE_UNAVAILABLE, DRAINING), DataLossError (LOG_BROKEN).
        """
        _refuse_two_starts(request)
        with self._counted():
            self._broadcast.check_open()
            subscriber = Subscriber(
                self._broadcast,
                self._read_page,
                write,
                limits=self._limits,
                wanted=request.wanted,
            )
            bounds = await answered_in_time(self._bounds())
            if request.snapshot:
                position = await self._send_snapshot(subscriber, request.wanted)
            else:
                position = self._start_of(request, bounds)
            await subscriber.follow(position)

    async def _bounds(self) -> log.Bounds:
        async with self._page_slots, self._database.connection() as connection:
            return await log.bounds(connection)

    def _start_of(self, request: WatchRequest, bounds: log.Bounds) -> Position:
        if request.after is not None:
            revision = start_after(bounds, request.after)
        else:
            revision = bounds.oldest - 1 if request.from_oldest else bounds.head
        self._refuse_unless_followed(bounds.epoch)
        return Position(bounds.epoch, revision)

    async def _send_snapshot(self, subscriber: Subscriber, wanted: EventFilter) -> Position:
        with closing(Spool()) as spool:
            async with self._snapshot_slots:
                position = await take_snapshot(self._database, wanted, self._encode_alert, spool)
            self._refuse_unless_followed(position.epoch)
            pages = spool.pages(self._limits.entries, self._limits.payload_bytes)
            page = next(pages, ())
            while following := next(pages, None):
                self._broadcast.check(position.epoch)
                await subscriber.send(WatchMessage(position, snapshot_alerts=page))
                page = following
            await subscriber.send(
                WatchMessage(position, snapshot_alerts=page, snapshot_complete=True)
            )
        return position

    async def _read_page(self, epoch: UUID, after: int) -> tuple[tuple[Entry, ...], int]:
        async with self._page_slots, self._database.connection() as connection:
            page = await log.read(
                connection, after, self._limits.entries, self._limits.payload_bytes
            )
        if page.epoch != epoch:
            raise epoch_changed(page.epoch)
        try:
            return entries_after(page, after), page.head
        except DataLossError:
            self._broadcast.gaps_found += 1
            raise

    def _refuse_unless_followed(self, epoch: UUID) -> None:
        """Raise UnavailableError while the tail has yet to learn of a new epoch."""
        if epoch != self._broadcast.epoch:
            raise UnsettledLogError

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._subscribers += 1
        try:
            yield
        finally:
            self._subscribers -= 1


def _refuse_two_starts(request: WatchRequest) -> None:
    if request.snapshot and (request.after is not None or request.from_oldest):
        raise InvalidArgumentError.of(
            [FieldViolation("after", "must be unset with snapshot: it starts at the snapshot")]
        )
