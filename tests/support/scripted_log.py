"""An alert service that keeps its log in memory and misbehaves as it is told.

It is a real gRPC server on a port of its own; only its content and its manners are made up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from support.alert_stubs import EPOCH, an_event
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_pb2 import ALERT_STATUS_RESOLVED, Alert
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_RAISED,
    ALERT_EVENT_TYPE_RESOLVED,
    AlertEvent,
    Position,
)
from tocsin.common.errors import (
    FailedPreconditionError,
    NotFoundError,
    OutOfRangeError,
    TocsinError,
)
from tocsin.common.rpc.status import status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


async def fail(context: grpc.aio.ServicerContext[Any, Any], error: TocsinError) -> None:
    """End a call as our servers do."""
    wire = status_of(error)
    await context.abort(wire.code, wire.message, wire.trailing_metadata)


@dataclass
class Manners:
    """How one stream behaves. It is broken off with `error` after so many messages.

    `error` None ends the stream without an error. With `stall` it falls silent instead. `edit`
    changes each message before it is sent, and may drop it by returning None.
    """

    messages: int = 1_000_000
    error: TocsinError | grpc.StatusCode | None = grpc.StatusCode.UNAVAILABLE
    stall: bool = False
    edit: Callable[[pb.WatchEventsResponse], pb.WatchEventsResponse | None] | None = None


@dataclass
class ScriptedLog:
    """The log. `manners` are those of the next streams, one each; then they behave well."""

    epoch: str = EPOCH
    page: int = 3
    events: list[AlertEvent] = field(default_factory=list)
    compacted: int = 0
    alerts: dict[str, Alert] = field(default_factory=dict)
    manners: deque[Manners] = field(default_factory=deque)
    watches: list[pb.WatchEventsRequest] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)
    lookup_errors: deque[TocsinError] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        self.streams = 0

    @property
    def head(self) -> int:
        return self.events[-1].position.revision if self.events else self.compacted

    @property
    def open(self) -> list[Alert]:
        return [each for each in self.alerts.values() if each.status != ALERT_STATUS_RESOLVED]

    def append(self, alert: Alert, type: int | None = None) -> AlertEvent:  # noqa: A002
        """Commit an event, RAISED or RESOLVED by the alert's status unless told."""
        if type is None:
            over = alert.status == ALERT_STATUS_RESOLVED
            type = ALERT_EVENT_TYPE_RESOLVED if over else ALERT_EVENT_TYPE_RAISED  # noqa: A001
        event = an_event(self.head + 1, alert, type, self.epoch)
        self.events.append(event)
        self.alerts[alert.alert_id] = alert
        self.wake()
        return event

    def compact(self, up_to: int | None = None) -> None:
        """Forget the events up to a revision, all of them by default."""
        end = self.head if up_to is None else up_to
        self.events = [each for each in self.events if each.position.revision > end]
        self.compacted = max(self.compacted, end)

    def restore(self, epoch: str, revision: int, *alerts: Alert) -> None:
        """Become the log of another epoch, as from an older backup."""
        self.epoch, self.compacted, self.events = epoch, revision, []
        self.alerts = {each.alert_id: each for each in alerts}
        self.wake()

    async def until_streams(self, count: int) -> None:
        """Wait until so many streams are open."""
        while self.streams != count:
            await self._changed.wait()

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def get_alert(self, request: pb.GetAlertRequest, context: Any) -> pb.GetAlertResponse:
        self.lookups.append(request.alert_id)
        if self.lookup_errors:
            await fail(context, self.lookup_errors.popleft())
        if request.alert_id not in self.alerts:
            await fail(context, NotFoundError("No such alert.", reason="ALERT_NOT_FOUND"))
        return pb.GetAlertResponse(alert=self.alerts[request.alert_id])

    async def watch_events(self, request: pb.WatchEventsRequest, context: Any) -> None:
        self.watches.append(request)
        self.streams += 1
        self.wake()
        try:
            with suppress(_EndedWithoutErrorError):
                await self._follow(request, _Sender(self, context))
        finally:
            self.streams -= 1
            self.wake()

    async def _follow(self, request: pb.WatchEventsRequest, sender: _Sender) -> None:
        epoch = self.epoch
        cursor = await self._start(request, sender)
        first = True
        while self.epoch == epoch:
            changed = self._changed
            page = [each for each in self.events if each.position.revision > cursor][: self.page]
            cursor = page[-1].position.revision if page else cursor
            wanted = [each for each in page if _passes(request, each)]
            if page or first:
                await sender.send(
                    pb.WatchEventsResponse(
                        events=wanted,
                        position=Position(epoch=epoch, revision=cursor),
                        caught_up=cursor == self.head,
                    )
                )
            else:
                await changed.wait()
            first = False
        await sender.fail(FailedPreconditionError("Another log.", reason="EPOCH_CHANGED"))

    async def _start(self, request: pb.WatchEventsRequest, sender: _Sender) -> int:
        if request.snapshot:
            return await self._send_snapshot(sender)
        if not request.HasField("after"):
            return self.head
        after = request.after
        if not after.epoch:
            return self.compacted
        if after.epoch != self.epoch:
            await sender.fail(FailedPreconditionError("Another log.", reason="EPOCH_CHANGED"))
        if after.revision < self.compacted:
            await sender.fail(OutOfRangeError("Too old.", reason="REVISION_COMPACTED"))
        if after.revision > self.head:
            await sender.fail(OutOfRangeError("Too new.", reason="REVISION_FUTURE"))
        return after.revision

    async def _send_snapshot(self, sender: _Sender) -> int:
        position = Position(epoch=self.epoch, revision=self.head)
        alerts = list(self.open)
        while len(alerts) > self.page:
            page, alerts = alerts[: self.page], alerts[self.page :]
            await sender.send(pb.WatchEventsResponse(snapshot_alerts=page, position=position))
        await sender.send(
            pb.WatchEventsResponse(
                snapshot_alerts=alerts, position=position, snapshot_complete=True
            )
        )
        return position.revision


class _EndedWithoutErrorError(Exception):
    pass


class _Sender:
    def __init__(self, log: ScriptedLog, context: Any) -> None:
        self._manners = log.manners.popleft() if log.manners else Manners()
        self._context = context
        self._left = self._manners.messages

    async def send(self, message: pb.WatchEventsResponse) -> None:
        if self._left == 0:
            await self._break_off()
        self._left -= 1
        sent = self._manners.edit(message) if self._manners.edit else message
        if sent is not None:
            await self._context.write(sent)
        if self._left == 0:
            await self._break_off()

    async def fail(self, error: TocsinError) -> None:
        await fail(self._context, error)

    async def _break_off(self) -> None:
        error = self._manners.error
        if self._manners.stall:
            await asyncio.Event().wait()
        if isinstance(error, TocsinError):
            await fail(self._context, error)
        if error is None:
            raise _EndedWithoutErrorError
        await self._context.abort(error, "broken off")


def _passes(request: pb.WatchEventsRequest, event: AlertEvent) -> bool:
    alert = event.alert
    return (
        (not request.host_ids or alert.host_id in request.host_ids)
        and (not request.kinds or alert.kind in request.kinds)
        and alert.severity >= request.min_severity
        and (not request.types or event.type in request.types)
    )


@asynccontextmanager
async def serving(log: ScriptedLog, port: int = 0) -> AsyncIterator[int]:
    """Serve it on a loopback port; yields the port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([_handlers(log)])
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


def _handlers(log: ScriptedLog) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        "tocsin.api.alert.v1.AlertService",
        {
            "GetAlert": grpc.unary_unary_rpc_method_handler(
                log.get_alert,
                request_deserializer=pb.GetAlertRequest.FromString,
                response_serializer=pb.GetAlertResponse.SerializeToString,
            ),
            "WatchEvents": grpc.unary_stream_rpc_method_handler(
                log.watch_events,
                request_deserializer=pb.WatchEventsRequest.FromString,
                response_serializer=pb.WatchEventsResponse.SerializeToString,
            ),
        },
    )
