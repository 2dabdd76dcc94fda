"""A gRPC server that only streams, on a log that tests write, with bounds that they choose."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from support.eventlog import following
from tocsin.alert.eventlog import log
from tocsin.alert.rpc.alert_service import ALERT_SERVICE, AlertService
from tocsin.alert.rpc.streams import add_alert_service
from tocsin.alert.rpc.subscriber import WatchLimits
from tocsin.alert.rpc.watch import Watch
from tocsin.alert.rpc.wire import encode_alert
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import event_pb2
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from support.eventlog import Follower
    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from tocsin.common.postgres.engine import Database

    Message = pb.WatchEventsResponse
    Call = grpc.aio.UnaryStreamCall[pb.WatchEventsRequest, Message]

NEVER = timedelta(hours=1)
WITHIN_SECONDS = 20.0


@dataclass(frozen=True)
class Told:
    """What an error of a stream says to a program."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]


def told(error: grpc.aio.AioRpcError) -> Told:
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    assert isinstance(details, bytes)
    info = ErrorInfo()
    for detail in Status.FromString(details).details:
        detail.Unpack(info)
    return Told(error.code(), info.reason, dict(info.metadata))


@dataclass
class Stream:
    """The client's end of one stream, and all that has come over it."""

    call: Call
    messages: list[Message] = field(default_factory=list)

    async def read(self) -> Message:
        async with asyncio.timeout(WITHIN_SECONDS):
            message = await self.call.read()
        assert isinstance(message, pb.WatchEventsResponse), "the stream ended without an error"
        self.messages.append(message)
        return message

    async def until(self, condition: Callable[[Message], bool]) -> Message:
        while not condition(message := await self.read()):
            pass
        return message

    async def until_revision(self, revision: int) -> list[int]:
        """Read until that position and return the revisions of all events so far."""
        await self.until(lambda message: message.position.revision >= revision)
        return self.revisions

    @property
    def revisions(self) -> list[int]:
        return [e.position.revision for message in self.messages for e in message.events]

    async def error(self) -> Told:
        """Read to the end, which must be an error."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.until(lambda _message: False)
        return told(caught.value)


@dataclass(frozen=True)
class Watching:
    """A running server and a client of it."""

    database: Database
    follower: Follower
    watch: Watch
    server: RpcServer
    alerts: AlertServiceAsyncStub
    target: str

    def stream(
        self,
        after: tuple[object, int] | None = None,
        *,
        stub: AlertServiceAsyncStub | None = None,
        **fields: Any,
    ) -> Stream:
        """Open a stream. `after` is (epoch, revision)."""
        if after is not None:
            epoch, revision = after
            fields["after"] = event_pb2.Position(epoch=str(epoch), revision=revision)
        return Stream((stub or self.alerts).WatchEvents(pb.WatchEventsRequest(**fields)))

    async def from_now(self, **fields: Any) -> Stream:
        """Open a stream and wait for its first message, which says where it begins."""
        stream = self.stream(**fields)
        await stream.read()
        return stream

    async def position(self) -> tuple[str, int]:
        async with self.database.connection() as connection:
            head = await log.head(connection)
        return str(head.epoch), head.revision


@asynccontextmanager
async def watching(
    database: Database,
    *,
    limits: WatchLimits | None = None,
    max_entries: int = 10_000,
    poll: timedelta = timedelta(milliseconds=20),
) -> AsyncIterator[Watching]:
    """Serve streams of the database's log. Bookmarks come only when `limits` says so."""
    limits = limits or WatchLimits(bookmark_every=NEVER)
    async with following(database, poll=poll, max_entries=max_entries) as follower:
        watch = Watch(database, follower.broadcast, encode_alert=encode_alert, limits=limits)
        server = RpcServer("127.0.0.1:0", needs={ALERT_SERVICE: ()})
        nobody = cast("Any", None)  # only WatchEvents is called
        service = AlertService(nobody, nobody, watch, nobody)
        add_alert_service(server.server, service)
        target = f"127.0.0.1:{await server.start()}"
        try:
            async with open_channel(target) as channel:
                stub = AlertServiceStub(channel)
                yield Watching(database, follower, watch, server, stub, target)
        finally:
            await server.drain(timedelta())
