"""What the service can be asked: every RPC service with what it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tocsin.api.notify.v1.channel_service_pb2_grpc import add_ChannelServiceServicer_to_server
from tocsin.api.notify.v1.delivery_service_pb2_grpc import add_DeliveryServiceServicer_to_server
from tocsin.api.notify.v1.route_service_pb2_grpc import add_RouteServiceServicer_to_server
from tocsin.api.notify.v1.silence_service_pb2_grpc import add_SilenceServiceServicer_to_server
from tocsin.common.identity.identity_rules import IDENTITY_SERVICE
from tocsin.common.ids import uuid7
from tocsin.common.postgres.reachable import is_reachable
from tocsin.common.rpc.probes import Probes
from tocsin.common.rpc.server import RpcServer
from tocsin.notify.rpc.channel_service import ChannelService
from tocsin.notify.rpc.delivery_service import DeliveryService
from tocsin.notify.rpc.route_service import RouteService
from tocsin.notify.rpc.silence_service import SilenceService
from tocsin.notify.rpc.simulating import Simulator
from tocsin.notify.store.channel_health import ChannelHealthStore
from tocsin.notify.store.deliveries import DeliveryStore
from tocsin.notify.store.explanation import Explanations
from tocsin.notify.store.history import History
from tocsin.notify.store.routes import RouteStore
from tocsin.notify.store.silences import SilenceStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.common.clock import Clock
    from tocsin.common.identity.security import Security
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.channels.registry import Senders
    from tocsin.notify.config import NotifySettings
    from tocsin.notify.delivery.dispatcher import Dispatcher
    from tocsin.notify.follower.follower import Follower
    from tocsin.notify.store.channels import ChannelStore
    from tocsin.notify.telemetry.parts import NotifyTelemetry

# Channels, routes and silences can be kept while the alert service is away; deliveries cannot
# come in.
NEEDS = {
    "tocsin.api.notify.v1.ChannelService": ("database",),
    "tocsin.api.notify.v1.DeliveryService": ("database", "stream", "dispatcher"),
    "tocsin.api.notify.v1.RouteService": ("database",),
    "tocsin.api.notify.v1.SilenceService": ("database",),
    IDENTITY_SERVICE: ("database",),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the services share. `on_change`: there may be something new to deliver."""

    settings: NotifySettings
    security: Security
    database: Database
    channels: ChannelStore
    senders: Senders
    clock: Clock
    on_change: Callable[[], None]
    telemetry: NotifyTelemetry


def make_server(parts: Parts) -> RpcServer:
    """Return a server with every service, not started."""
    settings = parts.settings
    rpc = RpcServer(
        settings.listen,
        needs=NEEDS,
        limits=settings.limits,
        door=parts.security.door,
        health_listen=settings.health_listen,
        observer=parts.telemetry.calls,
        around=parts.telemetry.around,
    )
    parts.telemetry.readiness = rpc.readiness
    _add_channels(rpc, parts)
    _add_deliveries(rpc, parts)
    _add_routes(rpc, parts)
    _add_silences(rpc, parts)
    parts.security.serve_on(rpc)
    return rpc


def make_probes(
    rpc: RpcServer, database: Database, follower: Follower, dispatcher: Dispatcher
) -> Probes:
    """Return what keeps the readiness of a server true, not started."""
    return Probes(
        rpc.readiness,
        {
            "database": partial(is_reachable, database),
            "stream": lambda: follower.is_well,
            "dispatcher": lambda: dispatcher.works,
        },
    )


def _add_channels(rpc: RpcServer, parts: Parts) -> None:
    service = ChannelService(
        parts.channels,
        ChannelHealthStore(parts.database),
        parts.senders,
        clock=parts.clock,
        on_change=parts.on_change,
        allowed_networks=parts.settings.allowed_networks,
    )
    add_ChannelServiceServicer_to_server(service, rpc.server)


def _add_deliveries(rpc: RpcServer, parts: Parts) -> None:
    store = DeliveryStore(parts.database, clock=parts.clock)
    explanations = Explanations(parts.database)
    service = DeliveryService(store, explanations, clock=parts.clock, on_change=parts.on_change)
    add_DeliveryServiceServicer_to_server(service, rpc.server)


def _add_routes(rpc: RpcServer, parts: Parts) -> None:
    routes = RouteStore(parts.database, parts.clock)
    silences = SilenceStore(parts.database, parts.clock)
    simulator = Simulator(routes, parts.channels, silences, History(parts.database), new_id=uuid7)
    service = RouteService(routes, simulator, clock=parts.clock, on_change=parts.on_change)
    add_RouteServiceServicer_to_server(service, rpc.server)


def _add_silences(rpc: RpcServer, parts: Parts) -> None:
    service = SilenceService(
        SilenceStore(parts.database, parts.clock),
        clock=parts.clock,
        on_change=parts.on_change,
        most_hosts=parts.settings.silence_max_hosts,
    )
    add_SilenceServiceServicer_to_server(service, rpc.server)
