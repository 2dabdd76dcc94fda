"""The requests on routes and silences, built from plain Python arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import route_service_pb2, silence_service_pb2
from tocsin.client.requests import new_request_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from tocsin.api.notify.v1.route_pb2 import Route
    from tocsin.api.notify.v1.silence_pb2 import Silence


def create_route(route: Route, *, position: int = 0) -> route_service_pb2.CreateRouteRequest:
    """Build a route to create, at a place: 1 is asked first, 0 is the end."""
    return route_service_pb2.CreateRouteRequest(route=route, position=position)


def get_route(route_id: str | UUID) -> route_service_pb2.GetRouteRequest:
    """Ask for one route."""
    return route_service_pb2.GetRouteRequest(route_id=str(route_id))


def list_routes() -> route_service_pb2.ListRoutesRequest:
    """Ask for all routes."""
    return route_service_pb2.ListRoutesRequest()


def update_route(route: Route) -> route_service_pb2.UpdateRouteRequest:
    """Build a route as it shall be. With a `route.version`, only if it still has that version."""
    return route_service_pb2.UpdateRouteRequest(route=route)


def delete_route(route_id: str | UUID) -> route_service_pb2.DeleteRouteRequest:
    """Name a route to delete."""
    return route_service_pb2.DeleteRouteRequest(route_id=str(route_id))


def reorder_routes(route_ids: Iterable[str | UUID]) -> route_service_pb2.ReorderRoutesRequest:
    """Name all routes in their new order."""
    return route_service_pb2.ReorderRoutesRequest(route_ids=map(str, route_ids))


def simulate_routes(
    *,
    sample: route_service_pb2.SampleEvent | None = None,
    days: int | None = None,
    routes: Iterable[Route] = (),
) -> route_service_pb2.SimulateRoutesRequest:
    """Ask who would be told of one event, or of those of the last days.

    Raises ValueError unless exactly one of `sample` and `days` is given.
    """
    if (sample is None) == (days is None):
        raise ValueError("sample, days: give one of them")
    if days is not None:
        return route_service_pb2.SimulateRoutesRequest(days=days, routes=routes)
    return route_service_pb2.SimulateRoutesRequest(sample=sample, routes=routes)


def create_silence(
    silence: Silence, *, force: bool = False, dry_run: bool = False, request_id: str | None = None
) -> silence_service_pb2.CreateSilenceRequest:
    """Build a silence to create. Without a request_id it gets one of its own."""
    return silence_service_pb2.CreateSilenceRequest(
        silence=silence,
        force=force,
        dry_run=dry_run,
        request_id=request_id or new_request_id(),
    )


def get_silence(silence_id: str | UUID) -> silence_service_pb2.GetSilenceRequest:
    """Ask for one silence."""
    return silence_service_pb2.GetSilenceRequest(silence_id=str(silence_id))


def list_silences(
    *, include_expired: bool = False, page_size: int = 0, page_token: str = ""
) -> silence_service_pb2.ListSilencesRequest:
    """Ask for a page of silences."""
    return silence_service_pb2.ListSilencesRequest(
        include_expired=include_expired, page_size=page_size, page_token=page_token
    )


def expire_silence(silence_id: str | UUID) -> silence_service_pb2.ExpireSilenceRequest:
    """Name a silence to end."""
    return silence_service_pb2.ExpireSilenceRequest(silence_id=str(silence_id))
