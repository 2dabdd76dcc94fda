"""A server with behaviours that a test gives, behind the real server's walls."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc

from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SERVICE = "tocsin.api.alert.v1.BackupService"


class Scripted:
    """GetHost and WatchEvents as a test wants them, under BackupService's name."""

    def __init__(self, server: RpcServer, channel: grpc.aio.Channel, port: int) -> None:
        self.server = server
        self.channel = channel
        self.port = port
        self.target = f"127.0.0.1:{port}"

    async def call(self, raw: bytes = b"") -> bytes:
        """Call the unary method with these bytes, and return those of its answer."""
        return bytes(await self.unary(raw))

    def unary(self, raw: bytes = b"") -> Any:
        """Begin a call of the unary method."""
        method: Any = self.channel.unary_unary(f"/{SERVICE}/GetHost")
        return method(raw)

    def stream(self, raw: bytes = b"") -> Any:
        """Begin a call of the streaming method."""
        method: Any = self.channel.unary_stream(f"/{SERVICE}/WatchEvents")
        return method(raw)


@asynccontextmanager
async def scripted_server(
    unary: Callable[[Any, Any], Awaitable[Any]] | None = None,
    stream: Callable[[Any, Any], Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Scripted]:
    """Serve the behaviours of a test until the end of the block."""
    server = RpcServer("127.0.0.1:0", needs={SERVICE: ("database",)}, **settings)
    handlers: dict[str, Any] = {
        "GetHost": grpc.unary_unary_rpc_method_handler(
            unary or _nothing,
            backup_service_pb2.GetHostRequest.FromString,
            backup_service_pb2.GetHostResponse.SerializeToString,
        ),
        "WatchEvents": grpc.unary_stream_rpc_method_handler(
            stream or _nothing,
            alert_service_pb2.WatchEventsRequest.FromString,
            alert_service_pb2.WatchEventsResponse.SerializeToString,
        ),
    }
    server.server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, handlers),)
    )
    port = await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield Scripted(server, channel, port)
    finally:
        await server.server.stop(0)


async def _nothing(request: Any, context: Any) -> Any:
    return backup_service_pb2.GetHostResponse()
