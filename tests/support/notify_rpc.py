"""The services of tocsin-notify on a database and a clock of the test, without the follower."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.certificates import client_tls
from support.notifications import LOOPBACK
from support.notify_ground import Ground
from tocsin.api.notify.v1.channel_service_pb2_grpc import (
    ChannelServiceStub,
    add_ChannelServiceServicer_to_server,
)
from tocsin.api.notify.v1.delivery_service_pb2_grpc import (
    DeliveryServiceStub,
    add_DeliveryServiceServicer_to_server,
)
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.server import RpcServer
from tocsin.notify.channels.registry import Senders
from tocsin.notify.rpc.channel_service import ChannelService
from tocsin.notify.rpc.delivery_service import DeliveryService
from tocsin.notify.store.channel_health import ChannelHealthStore
from tocsin.notify.store.explanation import Explanations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from support.clock import ManualClock
    from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceAsyncStub
    from tocsin.api.notify.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.channels.address_guard import Network


@dataclass
class NotifyRpc:
    """Stubs of both services. `changes` counts the calls of `on_change`."""

    channels: ChannelServiceAsyncStub
    deliveries: DeliveryServiceAsyncStub
    ground: Ground
    changes: list[None] = field(default_factory=list)


@asynccontextmanager
async def serving_notify(
    database: Database, clock: ManualClock | Clock, *, allowed: Sequence[Network] = LOOPBACK
) -> AsyncIterator[NotifyRpc]:
    """Serve on a free port until the end of the block."""
    ground = Ground(database, clock)
    senders = Senders(allowed, clock=clock, tls=client_tls())
    server = RpcServer("127.0.0.1:0", needs={})
    changes: list[None] = []

    def on_change() -> None:
        changes.append(None)

    channels = ChannelService(
        ground.channels,
        ChannelHealthStore(database),
        senders,
        clock=clock,
        on_change=on_change,
        allowed_networks=allowed,
    )
    deliveries = DeliveryService(
        ground.deliveries, Explanations(database), clock=clock, on_change=on_change
    )
    add_ChannelServiceServicer_to_server(channels, server.server)
    add_DeliveryServiceServicer_to_server(deliveries, server.server)
    port = await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield NotifyRpc(
                ChannelServiceStub(channel), DeliveryServiceStub(channel), ground, changes
            )
    finally:
        await server.server.stop(0)
        await senders.close()
