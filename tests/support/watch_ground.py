"""A log that is written, compacted and drained, and a witness that remembers all of it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from support.eventlog import following
from support.ledgers import clearing, raising, running_ledger
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure, Success
from tocsin.alert.eventlog.compaction import Compaction, Retention
from tocsin.alert.rpc.alert_service import ALERT_SERVICE, AlertService
from tocsin.alert.rpc.reads import Reads
from tocsin.alert.rpc.streams import add_alert_service
from tocsin.alert.rpc.subscriber import WatchLimits
from tocsin.alert.rpc.watch import Watch
from tocsin.alert.rpc.wire import encode_alert, encode_event
from tocsin.api.alert.v1.alert_pb2 import ALERT_STATUS_RESOLVED, Alert
from tocsin.api.alert.v1.event_pb2 import AlertEvent
from tocsin.common.clock import SystemClock
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Iterable

    import grpc

    from tocsin.alert.ledger import Ledger
    from tocsin.alert.ledger.commands import AutoResolve, RaiseOrTouch
    from tocsin.common.postgres.engine import Database

HOSTS = tuple(f"host-{number}" for number in range(8))
KEYS = 3
# Small, so that whoever resumes is as often behind the memory of the server as in it.
_REMEMBERED = 16
_LIMITS = WatchLimits(entries=7, bookmark_every=timedelta(milliseconds=100))
_KEPT = 1, 3, 8, 20, 60
_WRITE_EASE_SECONDS = 0.002
_DRAIN_SECONDS = 0.01

Standing = frozenset[tuple[str, int, int, str]]
"""Alerts that stand, with what events tell: id, status, severity and cause."""


def standing(alerts: Iterable[Alert]) -> Standing:
    return frozenset(
        (each.alert_id, each.status, each.severity, each.cause)
        for each in alerts
        if each.status != ALERT_STATUS_RESOLVED
    )


def apply(known: dict[str, Alert], event: AlertEvent) -> None:
    """Do to the alerts that stand what an event tells."""
    if event.alert.status == ALERT_STATUS_RESOLVED:
        known.pop(event.alert.alert_id, None)
    else:
        known[event.alert.alert_id] = event.alert


@dataclass
class Witness:
    """All events that ever were, read from the rows before any is deleted."""

    database: Database
    revisions: list[int] = field(default_factory=list)
    events: list[AlertEvent] = field(default_factory=list)

    @property
    def head(self) -> int:
        return self.revisions[-1] if self.revisions else 0

    async def look(self) -> None:
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT revision, payload FROM events WHERE revision > $1 ORDER BY revision",
                self.head,
            )
        for revision, payload in rows:
            self.revisions.append(revision)
            self.events.append(AlertEvent.FromString(payload))

    def between(self, after: int, through: int) -> list[AlertEvent]:
        """Return the events after a revision, and not after the other one."""
        first, last = bisect_right(self.revisions, after), bisect_right(self.revisions, through)
        return self.events[first:last]

    def standing_at(self, revisions: Iterable[int]) -> dict[int, Standing]:
        """Return what stood at each of these revisions, as the events tell it."""
        known: dict[str, Alert] = {}
        seen, found = 0, {}
        for revision in sorted(set(revisions)):
            for event in self.between(seen, revision):
                apply(known, event)
            seen, found[revision] = revision, standing(known.values())
        return found

    def is_whole(self) -> bool:
        return self.revisions == list(range(1, self.head + 1))


@dataclass
class WatchGround:
    """A server of streams on a real log, and what happens to it."""

    database: Database
    ledger: Ledger
    watch: Watch
    channel: grpc.aio.Channel
    random: random.Random
    witness: Witness
    compactions: int = 0
    drains: int = 0
    _quiet: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write_on(self) -> None:
        """Raise and clear at random, until cancelled."""
        while True:
            async with self._quiet:
                results = await self.ledger.submit_many(
                    [self._command() for _ in range(self.random.randint(1, 4))]
                )
            assert not [each for each in results if isinstance(each, Exception)]
            await asyncio.sleep(self.random.uniform(0, _WRITE_EASE_SECONDS))

    def _command(self) -> AutoResolve | RaiseOrTouch:
        key = Key(self.random.choice(HOSTS), "backup_failed", str(self.random.randrange(KEYS)))
        now = datetime.now(UTC)
        if self.random.random() < 0.5:
            return clearing(Success(key, now))
        severity = self.random.choice((Severity.WARNING, Severity.CRITICAL))
        return raising(Failure(key, now, severity, cause=self.random.choice(("", "a", "b"))))

    async def compact(self) -> None:
        """Delete a beginning of the log, once the witness has seen it."""
        kept = Retention(timedelta(), self.random.choice(_KEPT))
        async with self._quiet:
            await self.witness.look()
            compaction = Compaction(self.database, clock=SystemClock(), retention=kept)
            self.compactions += bool(await compaction.compact())

    async def drain(self) -> None:
        """End every stream, as a server does that stops, and take on streams again."""
        self.drains += 1
        self.watch.drain()
        await asyncio.sleep(_DRAIN_SECONDS)
        self.watch.open()


@asynccontextmanager
async def watch_ground(database: Database, dice: random.Random) -> AsyncIterator[WatchGround]:
    """Serve the log of a database, with bounds so small that each is met all the time."""
    async with (
        following(database, poll=timedelta(milliseconds=20), max_entries=_REMEMBERED) as follower,
        running_ledger(database, encode_event=encode_event, on_commit=follower.tail.take) as ledger,
    ):
        watch = Watch(database, follower.broadcast, encode_alert=encode_alert, limits=_LIMITS)
        server = RpcServer("127.0.0.1:0", needs={ALERT_SERVICE: ()})
        add_alert_service(
            server.server, AlertService(ledger, Reads(database), watch, SystemClock())
        )
        target = f"127.0.0.1:{await server.start()}"
        try:
            async with open_channel(target) as channel:
                yield WatchGround(database, ledger, watch, channel, dice, Witness(database))
        finally:
            watch.drain()
            await server.drain(timedelta())
