"""RouteService: thin. The rules are in route_rules, the rows in store."""

# ruff: noqa: ARG002, N802 - gRPC names the methods, and gives a context to each

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.api.notify.v1 import route_service_pb2 as api
from tocsin.api.notify.v1 import route_service_pb2_grpc
from tocsin.common.errors import Violations
from tocsin.common.ids import uuid7
from tocsin.common.rpc.validate import read_uuid
from tocsin.notify.router.recurrence import next_time
from tocsin.notify.rpc.acts import act_of
from tocsin.notify.rpc.convert import id_of
from tocsin.notify.rpc.convert_route import route_to_stub
from tocsin.notify.rpc.route_rules import read_route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    import grpc

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.notify.domain.route import Route
    from tocsin.notify.rpc.simulating import Simulator
    from tocsin.notify.store.routes import RouteStore

    Context = grpc.aio.ServicerContext[Any, Any]


class RouteService(route_service_pb2_grpc.RouteServiceServicer):
    """Keeps the routes.

    `on_change` is called after each committed change: what waits may be due now.
    """

    def __init__(
        self,
        store: RouteStore,
        simulator: Simulator,
        *,
        clock: Clock,
        on_change: Callable[[], None],
        new_id: NewId = uuid7,
    ) -> None:
        self._store = store
        self._simulator = simulator
        self._clock = clock
        self._on_change = on_change
        self._new_id = new_id

    async def CreateRoute(
        self, request: api.CreateRouteRequest, context: Context
    ) -> api.CreateRouteResponse:
        found, now = Violations(), self._clock.now()
        wanted = read_route(found, "route", request.route, self._new_id(), now)
        if request.position < 0:
            found.add("position", f"is {request.position}; write 1 to be asked first, 0 for last")
        found.raise_if_any()
        route = await self._store.create(
            wanted,
            position=request.position,
            next_proof_time=_next_proof(wanted, now),
            act=act_of(context, "RouteService/CreateRoute"),
        )
        self._on_change()
        return api.CreateRouteResponse(route=route_to_stub(route))

    async def GetRoute(
        self, request: api.GetRouteRequest, context: Context
    ) -> api.GetRouteResponse:
        route = await self._store.get(id_of("route_id", request.route_id))
        return api.GetRouteResponse(route=route_to_stub(route))

    async def ListRoutes(
        self, request: api.ListRoutesRequest, context: Context
    ) -> api.ListRoutesResponse:
        routes = await self._store.list_all()
        return api.ListRoutesResponse(
            routes=[route_to_stub(route) for route in routes], default_route_applies=not routes
        )

    async def UpdateRoute(
        self, request: api.UpdateRouteRequest, context: Context
    ) -> api.UpdateRouteResponse:
        found, now, given = Violations(), self._clock.now(), request.route
        route_id = read_uuid(found, "route.route_id", given.route_id)
        if given.version < 0:
            found.add("route.version", "must not be negative; write the version read, or 0")
        wanted = read_route(found, "route", given, route_id or self._new_id(), now)
        found.raise_if_any()
        route = await self._store.update(
            wanted,
            expected_version=given.version or None,
            next_proof_time=_next_proof(wanted, now),
            act=act_of(context, "RouteService/UpdateRoute"),
        )
        self._on_change()
        return api.UpdateRouteResponse(route=route_to_stub(route))

    async def DeleteRoute(
        self, request: api.DeleteRouteRequest, context: Context
    ) -> api.DeleteRouteResponse:
        act = act_of(context, "RouteService/DeleteRoute")
        left = await self._store.delete(id_of("route_id", request.route_id), act=act)
        self._on_change()
        return api.DeleteRouteResponse(default_route_applies=left == 0)

    async def ReorderRoutes(
        self, request: api.ReorderRoutesRequest, context: Context
    ) -> api.ReorderRoutesResponse:
        act = act_of(context, "RouteService/ReorderRoutes")
        routes = await self._store.reorder(_order(request.route_ids), act=act)
        return api.ReorderRoutesResponse(routes=[route_to_stub(route) for route in routes])

    async def SimulateRoutes(
        self, request: api.SimulateRoutesRequest, context: Context
    ) -> api.SimulateRoutesResponse:
        return await self._simulator.simulate(request, self._clock.now())


def _next_proof(route: Route, now: datetime) -> datetime | None:
    is_wanted = route.enabled and route.proof is not None
    return next_time(route.proof, now) if is_wanted and route.proof is not None else None


def _order(given: Sequence[str]) -> list[UUID]:
    found = Violations()
    read: list[UUID] = []
    for index, text in enumerate(given):
        route_id = read_uuid(found, f"route_ids[{index}]", text)
        if route_id in read:
            found.add(f"route_ids[{index}]", f"{route_id} stands there twice; name each route once")
        elif route_id is not None:
            read.append(route_id)
    found.raise_if_any()
    return read
