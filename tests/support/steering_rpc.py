"""Routes and silences, served on a database and a clock of the test, without the follower."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.notify_ground import Ground
from tocsin.api.notify.v1.route_service_pb2_grpc import (
    RouteServiceStub,
    add_RouteServiceServicer_to_server,
)
from tocsin.api.notify.v1.silence_service_pb2_grpc import (
    SilenceServiceStub,
    add_SilenceServiceServicer_to_server,
)
from tocsin.common.ids import uuid7
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.server import RpcServer
from tocsin.notify.rpc.route_service import RouteService
from tocsin.notify.rpc.silence_service import SilenceService
from tocsin.notify.rpc.simulating import Simulator
from tocsin.notify.store.history import History
from tocsin.notify.store.routes import RouteStore
from tocsin.notify.store.silences import SilenceStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.api.notify.v1.route_service_pb2_grpc import RouteServiceAsyncStub
    from tocsin.api.notify.v1.silence_service_pb2_grpc import SilenceServiceAsyncStub
    from tocsin.common.postgres.engine import Database

MOST_HOSTS = 2
MOST_EVENTS = 40


@dataclass
class SteeringRpc:
    """Stubs of both services. `changes` counts the calls of `on_change`."""

    routes: RouteServiceAsyncStub
    silences: SilenceServiceAsyncStub
    ground: Ground
    changes: list[None] = field(default_factory=list)


@asynccontextmanager
async def serving_steering(database: Database, clock: ManualClock) -> AsyncIterator[SteeringRpc]:
    """Serve on a free port until the end of the block."""
    ground = Ground(database, clock)
    changes: list[None] = []

    def on_change() -> None:
        changes.append(None)

    routes, silences = RouteStore(database, clock), SilenceStore(database, clock)
    simulator = Simulator(
        routes,
        ground.channels,
        silences,
        History(database),
        new_id=uuid7,
        most_events=MOST_EVENTS,
    )
    server = RpcServer("127.0.0.1:0", needs={})
    add_RouteServiceServicer_to_server(
        RouteService(routes, simulator, clock=clock, on_change=on_change), server.server
    )
    add_SilenceServiceServicer_to_server(
        SilenceService(silences, clock=clock, on_change=on_change, most_hosts=MOST_HOSTS),
        server.server,
    )
    port = await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield SteeringRpc(
                RouteServiceStub(channel), SilenceServiceStub(channel), ground, changes
            )
    finally:
        await server.server.stop(0)
