"""AlertService: each handler reads its request, has it done elsewhere, and answers."""

# gRPC names the methods, and gives each a context.
# ruff: noqa: ARG002, N802

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.alert.rpc.acts import read_acknowledge, read_resolve
from tocsin.alert.rpc.batch import BatchOfRaises
from tocsin.alert.rpc.convert import (
    acknowledge_answer_to_stub,
    alert_to_stub,
    clear_answer_to_stub,
    event_to_stub,
    position_to_stub,
    raise_answer_to_stub,
    resolve_answer_to_stub,
)
from tocsin.alert.rpc.fitting import fitting
from tocsin.alert.rpc.lists import read_alert_id, read_alerts_query, read_timeline_query
from tocsin.alert.rpc.observations import read_clear, read_raise
from tocsin.alert.rpc.streams import read_watch
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceServicer
from tocsin.common.rpc.caller import peer_of

if TYPE_CHECKING:
    import grpc

    from tocsin.alert.ledger.ledger import Ledger
    from tocsin.alert.rpc.reads import Reads
    from tocsin.alert.rpc.watch import Watch
    from tocsin.common.clock import Clock

    Context = grpc.aio.ServicerContext[Any, Any]

ALERT_SERVICE: str = pb.DESCRIPTOR.services_by_name["AlertService"].full_name


class AlertService(AlertServiceServicer):
    """The RPCs on alerts; `alert_service.proto` says what each does.

    Changes go through the ledger, reads and streams have a path of their own. A handler can be
    cancelled at any moment, so it does nothing itself that must be done.
    """

    def __init__(self, ledger: Ledger, reads: Reads, watch: Watch, clock: Clock) -> None:
        self._ledger = ledger
        self._reads = reads
        self._watch = watch
        self._clock = clock

    async def RaiseOrTouch(
        self, request: pb.RaiseOrTouchRequest, context: Context
    ) -> pb.RaiseOrTouchResponse:
        command = read_raise(request, peer_of(context), self._clock.now())
        return raise_answer_to_stub(await self._ledger.submit(command))

    def read_batch(self, raw: bytes) -> pb.BatchRaiseOrTouchRequest:
        """Read a request, unless it would be refused: to read it is most of what that costs.

        Raises UnavailableError (DRAINING), ResourceExhaustedError (OVERLOADED) and DecodeError.
        """
        self._ledger.require_room()
        return pb.BatchRaiseOrTouchRequest.FromString(raw)

    async def BatchRaiseOrTouch(  # type: ignore[override]  # answers by bytes: see streams
        self, request: pb.BatchRaiseOrTouchRequest, context: Context
    ) -> bytes:
        batch = BatchOfRaises(request, peer_of(context), self._clock.now())
        return batch.response(await self._ledger.submit_many(batch.commands))

    async def AutoResolve(
        self, request: pb.AutoResolveRequest, context: Context
    ) -> pb.AutoResolveResponse:
        command = read_clear(request, peer_of(context), self._clock.now())
        return clear_answer_to_stub(await self._ledger.submit(command))

    async def Acknowledge(
        self, request: pb.AcknowledgeRequest, context: Context
    ) -> pb.AcknowledgeResponse:
        command = read_acknowledge(request, peer_of(context), self._clock.now())
        return acknowledge_answer_to_stub(await self._ledger.submit(command))

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.ResolveResponse:
        command = read_resolve(request, peer_of(context))
        return resolve_answer_to_stub(await self._ledger.submit(command))

    async def GetAlert(self, request: pb.GetAlertRequest, context: Context) -> pb.GetAlertResponse:
        alert = await self._reads.alert(read_alert_id(request.alert_id))
        return pb.GetAlertResponse(alert=alert_to_stub(alert))

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, context: Context
    ) -> pb.ListAlertsResponse:
        query = read_alerts_query(request)
        page = await self._reads.alerts(query)
        alerts, fitted = fitting(alert_to_stub(alert) for alert in page.alerts)
        response = pb.ListAlertsResponse(alerts=alerts, position=position_to_stub(page.position))
        if page.more or not fitted:
            response.next_page_token = query.token_after(page.alerts[len(alerts) - 1])
        return response

    async def ListAlertEvents(
        self, request: pb.ListAlertEventsRequest, context: Context
    ) -> pb.ListAlertEventsResponse:
        query = read_timeline_query(request)
        page = await self._reads.timeline(query)
        events, fitted = fitting(event_to_stub(entry, page.epoch) for entry in page.entries)
        response = pb.ListAlertEventsResponse(events=events)
        if page.more or not fitted:
            response.next_page_token = query.token_after(events[-1].position.revision)
        return response

    async def WatchEvents(  # type: ignore[override]  # writes bytes to the context: see streams
        self, request: pb.WatchEventsRequest, context: Context
    ) -> None:
        await self._watch.stream(read_watch(request), context.write)
