"""WatchEvents, free of its wire: where a stream starts, and what ends all of them.

`streams` makes a WatchRequest of a request. Messages are written as bytes: see `eventlog.frames`.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.checks import start_after
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.eventlog.frames import message
from tocsin.alert.eventlog.identity import UnsettledLogError
from tocsin.alert.rpc.pages import Pages
from tocsin.alert.rpc.snapshot import Spool, take_snapshot
from tocsin.alert.rpc.subscriber import Subscriber, WatchLimits
from tocsin.common.errors import FieldViolation, InvalidArgumentError
from tocsin.common.postgres.patience import answered_in_time
from tocsin.common.rpc.draining import draining_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.eventlog.log import Bounds
    from tocsin.common.postgres.engine import Database

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
        self._limits = limits = limits or WatchLimits()
        self._pages = Pages(
            database, broadcast, entries=limits.entries, max_bytes=limits.frame_bytes
        )
        self._snapshot_slots = asyncio.Semaphore(_SNAPSHOTS_AT_ONCE)

    @property
    def subscribers(self) -> int:
        """How many streams there are."""
        return self._broadcast.subscribers

    def open(self) -> None:
        """Take on streams, also after a `drain`."""
        self._broadcast.reopen()

    def drain(self) -> None:
        """End every stream, and refuse new ones, with UnavailableError (DRAINING)."""
        self._broadcast.close(draining_error)

    async def stream(
        self, request: WatchRequest, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Send messages until an error ends the stream: a TocsinError, or what `write` raises.

        What is written are serialised WatchEventsResponses.

        Raises InvalidArgumentError, OutOfRangeError (REVISION_COMPACTED, REVISION_FUTURE),
        FailedPreconditionError (EPOCH_CHANGED), ResourceExhaustedError (SLOW_SUBSCRIBER),
        UnavailableError (DATABASE_UNAVAILABLE, DRAINING), DataLossError (LOG_BROKEN).
        """
        _refuse_two_starts(request)
        with self._broadcast.subscribed() as place:
            self._broadcast.check_open()
            subscriber = Subscriber(
                self._broadcast,
                self._pages.after,
                write,
                limits=self._limits,
                wanted=request.wanted,
            )
            bounds = await answered_in_time(self._pages.bounds())
            if request.snapshot:
                position = await self._send_snapshot(subscriber, request.wanted)
            else:
                position = self._start_of(request, bounds)
            await subscriber.follow(position, place)

    def _start_of(self, request: WatchRequest, bounds: Bounds) -> Position:
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
            pages = spool.pages(self._limits.entries, self._limits.frame_bytes)
            at, page = (position.epoch, position.revision), next(pages, ())
            while following := next(pages, None):
                self._broadcast.check(position.epoch)
                await subscriber.send(message(page, *at))
                page = following
            await subscriber.send(message(page, *at, snapshot_complete=True))
        return position

    def _refuse_unless_followed(self, epoch: UUID) -> None:
        """Raise UnavailableError while the tail has yet to learn of a new epoch."""
        if epoch != self._broadcast.epoch:
            raise UnsettledLogError


def _refuse_two_starts(request: WatchRequest) -> None:
    if request.snapshot and (request.after is not None or request.from_oldest):
        raise InvalidArgumentError.of(
            [FieldViolation("after", "must be unset with snapshot: it starts at the snapshot")]
        )
