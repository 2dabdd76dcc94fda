"""Watchers that leave again and again, and resume after anything they have seen.

What they see is noted in stretches: the events after one position, up to another. A watcher is
promised that these are all events there were, each once, in their order. That is what etcd calls
ordered, unique, reliable, resumable and (where no event came with the other position)
bookmarkable.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc

from support.watch_ground import HOSTS, apply, standing
from support.watching import told
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.api.alert.v1.event_pb2 import AlertEvent, Position
from tocsin.client import EventSubscription, RetryPolicy

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from support.watch_ground import Standing, Witness
    from support.watching import Message
    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.client import StreamBatch

_WITHIN_SECONDS = 30.0
_REMEMBERED = 40
_QUICK = RetryPolicy(first_wait=timedelta(milliseconds=1), longest_wait=timedelta(milliseconds=20))


@dataclass(frozen=True, slots=True)
class Stretch:
    """What came of the events of some hosts (none: of all) after a revision, up to another."""

    after: int
    through: int
    hosts: frozenset[str]
    events: tuple[AlertEvent, ...]
    is_bookmarked: bool


@dataclass
class Seen:
    """What all watchers saw."""

    resumes: int = 0
    compacted: int = 0
    drained: int = 0
    bookmarks: int = 0
    snapshots: int = 0
    stretches: list[Stretch] = field(default_factory=list)
    stood: list[tuple[int, frozenset[str], Standing]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def check(self, witness: Witness) -> None:
        """Hold all of it against what was."""
        if not witness.is_whole():
            self.violations.append("the log itself has gaps")
        for each in self.stretches:
            self.violations += _wrong_in(each, witness)
        stood = witness.standing_at(revision for revision, _, _ in self.stood)
        hosts = {event.alert.alert_id: event.alert.host_id for event in witness.events}
        for revision, wanted, seen in self.stood:
            truth = {each for each in stood[revision] if not wanted or hosts[each[0]] in wanted}
            if truth != seen:
                self.violations.append(f"at {revision} stood {truth}, and was seen {seen}")

    @property
    def events(self) -> int:
        return sum(len(each.events) for each in self.stretches)


def _wrong_in(stretch: Stretch, witness: Witness) -> list[str]:
    revisions = [event.position.revision for event in stretch.events]
    where = f"after {stretch.after} through {stretch.through} of {set(stretch.hosts) or 'all'}"
    if revisions != sorted(set(revisions)):
        return [f"{where}: out of order or twice: {revisions}"]
    truth = [
        event
        for event in witness.between(stretch.after, stretch.through)
        if not stretch.hosts or event.alert.host_id in stretch.hosts
    ]
    if [event.event_id for event in truth] != [event.event_id for event in stretch.events]:
        kind = "a bookmark that lies" if stretch.is_bookmarked else "missing or of elsewhere"
        return [f"{where}: {kind}: {revisions}, and there were {len(truth)}"]
    return [
        f"{where}: another content: {seen}"
        for event, seen in zip(truth, stretch.events, strict=True)
        if event != _without_position(seen)
    ]


def _without_position(event: AlertEvent) -> AlertEvent:
    bare = AlertEvent.FromString(event.SerializeToString())
    bare.ClearField("position")
    return bare


class RawWatcher:
    """Speaks the protocol itself. A third of them want the events of some hosts only."""

    def __init__(self, channel: grpc.aio.Channel, dice: random.Random, seen: Seen) -> None:
        self._stub = AlertServiceStub(channel)
        self._random = dice
        self._seen = seen
        few = dice.sample(HOSTS, 2) if dice.random() < 0.34 else ()
        self._hosts = frozenset(few)
        self._known: deque[Position] = deque(maxlen=_REMEMBERED)

    async def one_stream(self) -> None:
        """Resume after something seen, take some messages, and leave."""
        request = pb.WatchEventsRequest(host_ids=sorted(self._hosts))
        after = self._choose()
        if after is None:
            request.snapshot = True
        else:
            self._seen.resumes += 1
            request.after.CopyFrom(after)
        call = self._stub.WatchEvents(request)
        try:
            async with asyncio.timeout(_WITHIN_SECONDS):
                await self._take(call, after)
        except grpc.aio.AioRpcError as error:
            self._meet(error, after)
        finally:
            call.cancel()

    def _choose(self) -> Position | None:
        """Take the last position mostly, else any: of an event, of a message, of a bookmark."""
        if not self._known or self._random.random() < 0.01:
            return None
        return self._known[-1] if self._random.random() < 0.6 else self._random.choice(self._known)

    async def _take(
        self, call: grpc.aio.UnaryStreamCall[pb.WatchEventsRequest, Message], after: Position | None
    ) -> None:
        messages: list[Message] = []
        wanted = self._random.choice((1, 1, 2, 3, 5, 8))
        if after is None:
            after = await self._snapshot(call)
        try:
            while len(messages) < wanted:
                message = await call.read()
                assert isinstance(message, pb.WatchEventsResponse), "it ended without an error"
                messages.append(message)
        finally:
            self._note(after, messages)

    async def _snapshot(
        self, call: grpc.aio.UnaryStreamCall[pb.WatchEventsRequest, Message]
    ) -> Position:
        alerts: list[Alert] = []
        while True:
            message = await call.read()
            assert isinstance(message, pb.WatchEventsResponse), "it ended without an error"
            alerts += message.snapshot_alerts
            if message.snapshot_complete:
                self._seen.snapshots += 1
                self._seen.stood.append((message.position.revision, self._hosts, standing(alerts)))
                self._known.append(message.position)
                return message.position

    def _note(self, after: Position, messages: list[Message]) -> None:
        """Note each message as a stretch of its own: positions between them are promised too."""
        for message in messages:
            through, events = message.position, tuple(message.events)
            self._seen.bookmarks += not events
            self._seen.stretches.append(
                Stretch(after.revision, through.revision, self._hosts, events, not events)
            )
            self._known.extend([*(event.position for event in events[-2:]), through])
            after = through

    def _meet(self, error: grpc.aio.AioRpcError, after: Position | None) -> None:
        said = told(error)
        if said.reason == "REVISION_COMPACTED":
            self._seen.compacted += 1
            oldest = int(said.metadata["oldest_revision"])
            self._known.clear()
            if after is not None and oldest <= after.revision:
                self._seen.violations.append(f"{after.revision} is kept, and was refused: {said}")
            # From there on, or from a snapshot, when that is not kept any more either.
            if self._random.random() < 0.5:
                self._known.append(Position(epoch=said.metadata["epoch"], revision=oldest))
        elif said.code is grpc.StatusCode.UNAVAILABLE:
            self._seen.drained += 1
        else:
            self._seen.violations.append(f"a stream ended with {said}")


class LibraryWatcher:
    """Follows by the client library, from what it has stored, and stores with each batch."""

    def __init__(self, channel: grpc.aio.Channel, dice: random.Random, seen: Seen) -> None:
        self._channel = channel
        self._random = dice
        self._seen = seen
        self._stored: Position | None = None
        self._known: dict[str, Alert] = {}

    async def one_stream(self) -> None:
        """Begin where it left off, take some batches, and leave."""
        self._seen.resumes += self._stored is not None
        wanted = self._random.choice((1, 2, 3, 5, 8))
        subscription = EventSubscription(
            self._channel,
            after=self._stored,
            known=self._known.values(),
            on_first="snapshot_raised",
            retry=_QUICK,
        )
        async with subscription, asyncio.timeout(_WITHIN_SECONDS):
            while wanted:
                snapshots = subscription.counts.snapshots
                batch = await anext(subscription)
                self._store(batch, is_compared=subscription.counts.snapshots > snapshots)
                wanted -= 1

    def _store(self, batch: StreamBatch, *, is_compared: bool) -> None:
        for each in batch.events:
            apply(self._known, each.event)
        revision = batch.position.revision
        if is_compared:
            self._seen.snapshots += 1
            self._seen.compacted += self._stored is not None
        elif self._stored is not None:
            events = tuple(each.event for each in batch.events)
            self._seen.bookmarks += not events
            self._seen.stretches.append(
                Stretch(self._stored.revision, revision, frozenset(), events, not events)
            )
        self._seen.stood.append((revision, frozenset(), standing(self._known.values())))
        self._stored = batch.position


def watchers(
    channel: grpc.aio.Channel, dice: Iterable[random.Random], seen: Seen
) -> list[RawWatcher | LibraryWatcher]:
    """Return one watcher for each of these dice; every third is one of the client library."""
    return [
        (LibraryWatcher if place % 3 == 2 else RawWatcher)(channel, each, seen)
        for place, each in enumerate(dice)
    ]
