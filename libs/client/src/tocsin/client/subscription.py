"""The subscription to the event log: every event, once, in order, over every interruption."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from tocsin.api.alert.v1.alert_pb2 import Severity
from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsRequest, WatchEventsResponse
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.api.alert.v1.event_pb2 import AlertEvent, AlertEventType, Position
from tocsin.client.batch import StreamBatch, StreamEvent
from tocsin.client.continuity import check
from tocsin.client.diff import apply_event, synthetic_events
from tocsin.client.errors import (
    CallError,
    DataLossError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnimplementedError,
    told,
)
from tocsin.client.known import KnownAlerts
from tocsin.client.options import OnFirst, SubscriptionOptions, begins_with_snapshot
from tocsin.client.retry import RetryPolicy
from tocsin.client.snapshot import Snapshot, collect, look_up
from tocsin.client.stream import EventStream
from tocsin.client.values import enum_value, enum_values
from tocsin.common.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    import grpc.aio

    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.common.clock import Clock

__all__ = [
    "EventSubscription",
    "OnFirst",
    "StreamBatch",
    "StreamEvent",
    "SubscriptionCounts",
    "SubscriptionOptions",
]

_log = logging.getLogger(__name__)

# What no repetition heals.
_FINAL = (InvalidArgumentError, PermissionDeniedError, UnauthenticatedError, UnimplementedError)
# Why a position cannot be resumed after: only a snapshot leads on.
_VOID = frozenset({"REVISION_COMPACTED", "REVISION_FUTURE", "EPOCH_CHANGED"})
_SILENCE = timedelta(seconds=30)  # the server sends a bookmark every 10 s
_BROKEN_IN_A_ROW = 5


@dataclass(slots=True)
class SubscriptionCounts:
    """What a subscription has met so far."""

    connections: int = 0
    out_of_step: int = 0
    snapshots: int = 0
    synthetic_events: int = 0


class EventSubscription:
    """Follows the event log of the alert service, for ever, as batches of events.

    Where it begins: `after` is the position that was stored with the last batch. Without one,
    `on_first` decides: `now`: with what is committed from now on; `oldest`: with the oldest event
    kept; `snapshot_known`: from now on, and the first batch has the alerts that are not resolved
    in `snapshot`, without events for them; `snapshot_raised`: likewise, but with a synthetic RAISED
    event (and ACKNOWLEDGED) for each.

    What it does about failures: a stream that breaks, ends or says nothing for `silence` is opened
    again after the last position handed out, with growing waits (`retry`), for ever. Revisions are
    checked: what is missing, comes twice or goes back is not handed out, the stream is opened
    again, and when that happens five times without an event in between, DataLossError is raised.
    INVALID_ARGUMENT, UNIMPLEMENTED, PERMISSION_DENIED and UNAUTHENTICATED are raised too.

    When the position is void, because the log was compacted past it or replaced (a restore), a
    snapshot is compared with `known`, the alerts not resolved as the events so far told them (give
    those you stored), and the difference is handed out as synthetic events, then the stream goes
    on. They come in one batch: until you store its position, the comparison can be made again from
    the old one, and gives the same event ids for the same changes. An alert that was raised and
    resolved in the part of the log that is gone is not told.

    `host_ids`, `kinds` and `min_severity` narrow the stream at the server; revisions then have
    gaps, and only their growth is checked. `types` narrows what is handed out here: the stream
    itself has all types, since `known` needs them.

    `on_state` is told True when the first message of a stream has come, False when it is lost.
    Use it from one task. Cancelling that task, also in the middle of a batch, loses nothing.

    Example:
        >>> async with EventSubscription(channel, after=stored_position, known=stored) as events:
        ...     async for batch in events:
        ...         async with database.transaction():
        ...             for each in batch.events:
        ...                 await take_in(each.event, synthetic=each.synthetic)
        ...             await store_position(batch.position)
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        after: Position | None = None,
        on_first: OnFirst = "now",
        known: Iterable[Alert] = (),
        host_ids: Iterable[str] = (),
        kinds: Iterable[str] = (),
        min_severity: str | int | None = None,
        types: Iterable[str | int] = (),
        on_state: Callable[[bool], None] | None = None,
        retry: RetryPolicy | None = None,
        silence: timedelta = _SILENCE,
        clock: Clock | None = None,
    ) -> None:
        self.counts = SubscriptionCounts()
        self._stub = AlertServiceStub(channel)
        self._filters = WatchEventsRequest(
            host_ids=host_ids,
            kinds=kinds,
            min_severity=enum_value("min_severity", Severity, min_severity),
        )
        self._types = frozenset(enum_values("types", AlertEventType, types))
        self._known = KnownAlerts(known)
        self._last = Position() if after is None and on_first == "oldest" else after
        self._compare_next = begins_with_snapshot(on_first) and after is None
        self._tell_snapshot = self._last is not None or on_first != "snapshot_known"
        self._on_state = on_state
        self._retry = retry or RetryPolicy()
        self._silence = silence
        self._clock = clock or SystemClock()
        self._stream: EventStream | None = None
        self._connected = False
        self._failures = 0
        self._broken = 0
        self._final: CallError | None = None
        self._closing = asyncio.Event()

    @property
    def position(self) -> Position | None:
        """The position of the last batch handed out, at first `after`."""
        return self._last

    @property
    def known(self) -> Mapping[str, Alert]:
        """The alerts not resolved, by alert_id, as told so far."""
        return dict(self._known)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamBatch:
        """Wait for the next batch. Raises StopAsyncIteration after `close`."""
        while not self._closing.is_set():
            if self._final is not None:
                raise self._final
            try:
                return await self._next_batch()
            except CallError as error:
                await self._drop()
                if not self._closing.is_set():
                    await self._meet(error)
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the stream. The channel stays the caller's."""
        self._closing.set()
        await self._drop()

    async def _next_batch(self) -> StreamBatch:
        if self._stream is None:
            self._stream = EventStream(self._stub.WatchEvents(self._request()), self._silence)
            self.counts.connections += 1
        if self._compare_next:
            return await self._compare(self._stream)
        return self._take(await self._stream.next())

    def _request(self) -> WatchEventsRequest:
        request = WatchEventsRequest(snapshot=self._compare_next)
        request.MergeFrom(self._filters)
        if self._last is not None and not self._compare_next:
            request.after.CopyFrom(self._last)
        return request

    def _take(self, message: WatchEventsResponse) -> StreamBatch:
        """Turn a message into a batch. Raises OutOfStepError."""
        filtered = self._filters.ByteSize() > 0
        check(self._last, message, filtered=filtered)
        for event in message.events:
            apply_event(self._known, event)
        events = self._wanted(message.events, synthetic=False)
        return self._hand_out(StreamBatch(events, message.position, message.caught_up))

    async def _compare(self, stream: EventStream) -> StreamBatch:
        """Read a snapshot, and turn what differs from what was known into a batch."""
        try:
            snapshot = await collect(stream)
            self._set_connected(True)
            gone = await self._look_up_gone(snapshot)
        except BaseException:
            await self._drop()  # pages were read: another try needs another stream
            raise
        batch = self._difference(snapshot, gone)
        self._known = KnownAlerts(chain(snapshot.alerts.values(), filter(None, gone.values())))
        self._compare_next, self._tell_snapshot = False, True
        self.counts.snapshots += 1
        self.counts.synthetic_events += len(batch.events)
        return self._hand_out(batch)

    async def _look_up_gone(self, snapshot: Snapshot) -> Mapping[str, Alert | None]:
        if not self._tell_snapshot:
            return {}
        gone = sorted(self._known.keys() - snapshot.alerts.keys())
        return await look_up(self._stub, gone, self._retry)

    def _difference(self, snapshot: Snapshot, gone: Mapping[str, Alert | None]) -> StreamBatch:
        position, caught_up = snapshot.position, snapshot.caught_up
        if not self._tell_snapshot:
            return StreamBatch((), position, caught_up, tuple(snapshot.alerts.values()))
        now = Timestamp()
        now.FromDatetime(self._clock.now())
        events = synthetic_events(self._known, snapshot.alerts, gone, position, now)
        return StreamBatch(self._wanted(events, synthetic=True), position, caught_up)

    def _wanted(self, events: Iterable[AlertEvent], *, synthetic: bool) -> tuple[StreamEvent, ...]:
        return tuple(
            StreamEvent(event, synthetic)
            for event in events
            if not self._types or event.type in self._types
        )

    def _hand_out(self, batch: StreamBatch) -> StreamBatch:
        if self._last is None or batch.position != self._last:
            self._broken = 0
        self._failures = 0
        self._last = batch.position
        self._set_connected(True)
        return batch

    async def _meet(self, error: CallError) -> None:
        """Decide what follows a failure: raise it, compare with a snapshot, or wait."""
        if isinstance(error, DataLossError):
            self.counts.out_of_step += 1
            self._broken += 1
        if isinstance(error, _FINAL) or self._broken >= _BROKEN_IN_A_ROW:
            self._final = error
            raise error
        if error.reason in _VOID and not self._compare_next:
            _log.warning("The position is void, taking a snapshot: %s", error, extra=told(error))
            self._compare_next = True
            return
        self._failures += 1
        seconds = self._retry.wait_after(self._failures, error)
        fields = told(error, retry_in_s=round(seconds, 3))
        _log.warning("The event stream is lost, back in %.1f s: %s", seconds, error, extra=fields)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        self._set_connected(False)
        if stream is not None:
            await stream.close()

    def _set_connected(self, connected: bool) -> None:
        if self._connected != connected:
            self._connected = connected
            if self._on_state is not None:
                self._on_state(connected)
