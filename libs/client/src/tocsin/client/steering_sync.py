"""The calls on routes and silences, blocking."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.api.notify.v1.route_service_pb2_grpc import RouteServiceStub
from tocsin.api.notify.v1.silence_service_pb2_grpc import SilenceServiceStub
from tocsin.client import steering_requests as requests
from tocsin.client.calls import SyncCalls
from tocsin.client.retry import single_attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    import grpc

    from tocsin.api.notify.v1 import route_service_pb2 as route_pb
    from tocsin.api.notify.v1 import silence_service_pb2 as silence_pb
    from tocsin.api.notify.v1.route_pb2 import Route
    from tocsin.api.notify.v1.silence_pb2 import Silence
    from tocsin.client.retry import RetryPolicy
    from tocsin.common.rpc.client_credentials import ClientCredentials

SIMULATION_TIMEOUT = timedelta(seconds=60)  # it may read 100,000 events


class SyncSteeringCalls(SyncCalls):
    """The calls on routes and silences of SyncNotifyClient."""

    _service = "NOTIFY"

    def __init__(
        self,
        target: str | grpc.Channel,
        *,
        retry: RetryPolicy | None = None,
        credentials: ClientCredentials | None = None,
    ) -> None:
        super().__init__(target, retry=retry, credentials=credentials)
        self._once = single_attempt(self._retry)
        self._routes = RouteServiceStub(self.channel)
        self._silences = SilenceServiceStub(self.channel)

    def create_route(self, route: Route, *, position: int = 0) -> Route:
        """Create a route at a place: 1 is asked first, 0 is the end.

        Raises AlreadyExistsError (ROUTE_NAME_TAKEN).
        """
        request = requests.create_route(route, position=position)
        answer = self._call(self._routes.CreateRoute, request, self._once)
        return answer.route

    def get_route(self, route_id: str | UUID) -> Route:
        """Return one route. Raises NotFoundError."""
        request = requests.get_route(route_id)
        answer = self._call(self._routes.GetRoute, request)
        return answer.route

    def list_routes(self) -> route_pb.ListRoutesResponse:
        """Return all routes in their order, and whether the default route applies."""
        return self._call(self._routes.ListRoutes, requests.list_routes())

    def update_route(self, route: Route) -> Route:
        """Replace a route as a whole, apart from its place, and return it.

        Raises NotFoundError, AlreadyExistsError, and AbortedError when `route.version` is not 0
        and not the present one.
        """
        retry = self._once if route.version else None
        request = requests.update_route(route)
        answer = self._call(self._routes.UpdateRoute, request, retry)
        return answer.route

    def delete_route(self, route_id: str | UUID) -> route_pb.DeleteRouteResponse:
        """Delete a route. Raises NotFoundError."""
        request = requests.delete_route(route_id)
        return self._call(self._routes.DeleteRoute, request, self._once)

    def reorder_routes(self, route_ids: Iterable[str | UUID]) -> list[Route]:
        """Put all routes into a new order. Raises AbortedError unless each is named."""
        request = requests.reorder_routes(route_ids)
        answer = self._call(self._routes.ReorderRoutes, request)
        return list(answer.routes)

    def simulate_routes(
        self,
        *,
        sample: route_pb.SampleEvent | None = None,
        days: int | None = None,
        routes: Iterable[Route] = (),
    ) -> route_pb.SimulateRoutesResponse:
        """Return who would be told of a made-up event, or of the events of the last days.

        By `routes` in place of the kept ones, if there are any. Nothing is sent.
        """
        request = requests.simulate_routes(sample=sample, days=days, routes=routes)
        retry = single_attempt(self._retry, SIMULATION_TIMEOUT)
        return self._call(self._routes.SimulateRoutes, request, retry)

    def create_silence(
        self,
        silence: Silence,
        *,
        force: bool = False,
        dry_run: bool = False,
        request_id: str | None = None,
    ) -> silence_pb.CreateSilenceResponse:
        """Create a silence, and return it with what it covers now.

        Raises FailedPreconditionError (SILENCE_TOO_BROAD) unless it is forced.
        """
        request = requests.create_silence(
            silence, force=force, dry_run=dry_run, request_id=request_id
        )
        return self._call(self._silences.CreateSilence, request)

    def get_silence(self, silence_id: str | UUID) -> silence_pb.GetSilenceResponse:
        """Return one silence with what it covers now. Raises NotFoundError."""
        request = requests.get_silence(silence_id)
        return self._call(self._silences.GetSilence, request)

    def list_silences(
        self, *, include_expired: bool = False, page_size: int = 0
    ) -> Iterator[Silence]:
        """Walk over the silences, the latest first."""
        request = requests.list_silences(include_expired=include_expired, page_size=page_size)
        for page in self._pages(self._silences.ListSilences, request):
            yield from page.silences

    def expire_silence(self, silence_id: str | UUID) -> silence_pb.ExpireSilenceResponse:
        """End a silence now. `changed` is false when it was over. Raises NotFoundError."""
        request = requests.expire_silence(silence_id)
        return self._call(self._silences.ExpireSilence, request)
