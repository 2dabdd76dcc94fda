"""SimulateRoutes: who would be told, by the kept routes or by others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.api.notify.v1 import route_service_pb2 as api
from tocsin.common.errors import Violations
from tocsin.notify.router.simulation import UNTOLD_KINDS, Simulation, Told
from tocsin.notify.rpc.route_rules import read_route
from tocsin.notify.rpc.sample_event import read_sample
from tocsin.notify.store.route_checks import MOST_ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from tocsin.common.ids import NewId
    from tocsin.notify.domain.channel import Channel
    from tocsin.notify.domain.route import Route
    from tocsin.notify.store.channels import ChannelStore
    from tocsin.notify.store.history import History
    from tocsin.notify.store.routes import RouteStore
    from tocsin.notify.store.silences import SilenceStore

MOST_DAYS: Final = 90
MOST_EVENTS: Final = 100_000
_EVERY_CHANNEL = 100_000


class Simulator:
    """Answers what routes would do. Nothing is changed."""

    def __init__(
        self,
        routes: RouteStore,
        channels: ChannelStore,
        silences: SilenceStore,
        history: History,
        *,
        new_id: NewId,
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._routes = routes
        self._channels = channels
        self._silences = silences
        self._history = history
        self._new_id = new_id
        self._most_events = most_events

    async def simulate(
        self, request: api.SimulateRoutesRequest, now: datetime
    ) -> api.SimulateRoutesResponse:
        """Answer a request. Raises InvalidArgumentError."""
        found = Violations()
        sample = None
        match request.WhichOneof("events"):
            case "sample":
                sample = read_sample(found, "sample", request.sample, now)
            case "days":
                _check_days(found, request.days)
            case _:
                found.add("events", "must hold one of sample (an event) and days (the last days)")
        channels = {
            channel.channel_id: channel
            for channel in await self._channels.list_page(limit=_EVERY_CHANNEL)
        }
        routes = self._read_routes(found, request, channels, now)
        found.raise_if_any()
        if not routes:
            routes = await self._routes.list_all()
        enabled = frozenset(each.channel_id for each in channels.values() if each.enabled)
        simulation = Simulation(routes, enabled, await self._silences.list_current())
        is_cut = False
        if sample is not None:
            simulation.take_in(sample)
        else:
            is_cut = await self._take_in_days(simulation, now - timedelta(days=request.days))
        return _answer(simulation, routes, channels, is_cut=is_cut)

    async def _take_in_days(self, simulation: Simulation, since: datetime) -> bool:
        first, last, is_cut = await self._history.bounds(since, self._most_events)
        async for notification in self._history.between(first, last):
            simulation.take_in(notification)
        return is_cut

    def _read_routes(
        self,
        found: Violations,
        request: api.SimulateRoutesRequest,
        channels: Mapping[UUID, Channel],
        now: datetime,
    ) -> list[Route]:
        if len(request.routes) > MOST_ROUTES:
            found.add("routes", f"has {len(request.routes):,} routes; write at most {MOST_ROUTES}")
            return []
        read = []
        for index, given in enumerate(request.routes):
            path = f"routes[{index}]"
            route = read_route(found, path, given, self._new_id(), now)
            read.append(route)
            for number, channel_id in enumerate(route.channel_ids):
                if channel_id not in channels:
                    found.add(
                        f"{path}.channel_ids[{number}]", f"no channel has the id {channel_id}"
                    )
        return read


def _check_days(found: Violations, days: int) -> None:
    if not 1 <= days <= MOST_DAYS:
        found.add("days", f"is {days:,}; write 1 to {MOST_DAYS}")


def _answer(
    simulation: Simulation,
    routes: Iterable[Route],
    channels: Mapping[UUID, Channel],
    *,
    is_cut: bool,
) -> api.SimulateRoutesResponse:
    names = {route.route_id: route.display_name for route in routes}
    told = sorted(
        simulation.told.items(),
        key=lambda one: (-one[1].event_count, channels[one[0]].display_name),
    )
    return api.SimulateRoutesResponse(
        channels=[_channel(channels[channel_id], one, names) for channel_id, one in told],
        event_count=simulation.event_count,
        untold_count=simulation.untold.total(),
        untold_kinds=[kind for kind, _ in simulation.untold.most_common(UNTOLD_KINDS)],
        truncated=is_cut,
    )


def _channel(channel: Channel, told: Told, names: Mapping[UUID, str]) -> api.SimulatedChannel:
    return api.SimulatedChannel(
        channel_id=str(channel.channel_id),
        channel_display_name=channel.display_name,
        enabled=channel.enabled,
        event_count=told.event_count,
        raised_count=told.raised_count,
        held_count=told.held_count,
        route_names=[names[route_id] for route_id, _ in told.routes.most_common()],
    )
