"""DeliveryService: who was told what, when, and why not."""

# ruff: noqa: ARG002, N802 - gRPC names the methods, and gives a context to each

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from tocsin.api.notify.v1 import delivery_service_pb2 as api
from tocsin.api.notify.v1 import delivery_service_pb2_grpc
from tocsin.common.errors import Violations
from tocsin.common.rpc.pages import note_made_up, page_token, read_page_token
from tocsin.common.rpc.validate import read_choice, read_page_size, read_uuid
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.rpc.acts import act_of
from tocsin.notify.rpc.convert import DELIVERY_STATES, attempt_to_stub, delivery_to_stub, id_of
from tocsin.notify.rpc.convert_decision import explained_to_stub
from tocsin.notify.rpc.explanation import explain
from tocsin.notify.rpc.redelivery_rules import read_redelivery
from tocsin.notify.store.deliveries import DeliveryFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from tocsin.common.clock import Clock
    from tocsin.notify.store.deliveries import DeliveryStore
    from tocsin.notify.store.explanation import Explanations

    Context = grpc.aio.ServicerContext[Any, Any]


class DeliveryService(delivery_service_pb2_grpc.DeliveryServiceServicer):
    """Shows deliveries, explains them, and sends them again.

    `on_change` is called after each redelivery, so that what sends can look at once.
    """

    def __init__(
        self,
        store: DeliveryStore,
        explanations: Explanations,
        *,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._explanations = explanations
        self._clock = clock
        self._on_change = on_change

    async def ListDeliveries(
        self, request: api.ListDeliveriesRequest, context: Context
    ) -> api.ListDeliveriesResponse:
        found = Violations()
        wanted = _filter(found, request)
        size = read_page_size(found, "page_size", request.page_size)
        scope = f"ListDeliveries {wanted}".encode()
        before = _read_place(found, request.page_token, scope)
        found.raise_if_any()
        deliveries = await self._store.list_page(wanted, before=before, limit=size + 1)
        shown = deliveries[:size]
        return api.ListDeliveriesResponse(
            deliveries=[delivery_to_stub(delivery) for delivery in shown],
            next_page_token=page_token(scope, [str(shown[-1].delivery_id)])
            if len(deliveries) > size
            else "",
        )

    async def GetDelivery(
        self, request: api.GetDeliveryRequest, context: Context
    ) -> api.GetDeliveryResponse:
        delivery, attempts = await self._store.get(id_of("delivery_id", request.delivery_id))
        return api.GetDeliveryResponse(
            delivery=delivery_to_stub(delivery),
            attempts=[attempt_to_stub(attempt) for attempt in attempts],
        )

    async def RedeliverDelivery(
        self, request: api.RedeliverDeliveryRequest, context: Context
    ) -> api.RedeliverDeliveryResponse:
        act = act_of(context, "DeliveryService/RedeliverDelivery")
        delivery = await self._store.redeliver(id_of("delivery_id", request.delivery_id), act=act)
        self._on_change()
        return api.RedeliverDeliveryResponse(delivery=delivery_to_stub(delivery))

    async def RedeliverDeliveries(
        self, request: api.RedeliverDeliveriesRequest, context: Context
    ) -> api.RedeliverDeliveriesResponse:
        wanted = read_redelivery(request, self._clock.now())
        act = act_of(context, "DeliveryService/RedeliverDeliveries")
        redelivered = await self._store.redeliver_all(wanted, dry_run=request.dry_run, act=act)
        if redelivered.count and not request.dry_run:
            self._on_change()
        return api.RedeliverDeliveriesResponse(
            redelivered_count=redelivered.count,
            left_count=redelivered.left,
            more=redelivered.more,
            examples=[delivery_to_stub(delivery) for delivery in redelivered.examples],
        )

    async def ExplainAlert(
        self, request: api.ExplainAlertRequest, context: Context
    ) -> api.ExplainAlertResponse:
        alert_id = id_of("alert_id", request.alert_id)
        channel_id = id_of("channel_id", request.channel_id) if request.channel_id else None
        history = await self._explanations.read(alert_id, channel_id)
        return explained_to_stub(explain(history, self._clock.now()))


def _filter(found: Violations, request: api.ListDeliveriesRequest) -> DeliveryFilter:
    return DeliveryFilter(
        channel_id=_optional(found, "channel_id", request.channel_id),
        alert_id=_optional(found, "alert_id", request.alert_id),
        states=_states(found, request.states),
    )


def _optional(found: Violations, path: str, text: str) -> UUID | None:
    return read_uuid(found, path, text) if text else None


def _states(found: Violations, numbers: Sequence[int]) -> tuple[DeliveryState, ...]:
    read = (
        read_choice(found, f"states[{index}]", number, DELIVERY_STATES)
        for index, number in enumerate(numbers)
    )
    return tuple(sorted({DeliveryState(number) for number in read if number is not None}))


def _read_place(found: Violations, token: str, scope: bytes) -> UUID | None:
    place = read_page_token(found, "page_token", token, scope, parts=1)
    if place is None:
        return None
    try:
        return UUID(place[0])
    except ValueError:
        note_made_up(found, "page_token")
        return None
