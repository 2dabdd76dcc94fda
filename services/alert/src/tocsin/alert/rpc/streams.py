"""WatchEvents on the wire: what its request asks for, and messages that are bytes already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.rpc.lists import check_scope
from tocsin.alert.rpc.observations import read_severity
from tocsin.alert.rpc.watch import WatchRequest
from tocsin.api.alert.v1 import alert_service_pb2, event_pb2
from tocsin.api.alert.v1.alert_service_pb2_grpc import add_AlertServiceServicer_to_server
from tocsin.common.errors import Violations
from tocsin.common.rpc.validate import read_choice, read_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.alert.rpc.alert_service import AlertService

_SERVICE = alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"].full_name
_TYPE_NAMES: dict[int, str] = {
    number: name for name, number in event_pb2.AlertEventType.items() if number
}


def add_alert_service(server: grpc.aio.Server, service: AlertService) -> None:
    """Register the service on the server of an RpcServer; two methods answer by bytes."""
    watch: grpc.RpcMethodHandler[Any, bytes] = grpc.unary_stream_rpc_method_handler(
        service.WatchEvents, alert_service_pb2.WatchEventsRequest.FromString
    )
    batch: grpc.RpcMethodHandler[Any, bytes] = grpc.unary_unary_rpc_method_handler(
        service.BatchRaiseOrTouch, service.read_batch
    )
    written = {"WatchEvents": watch, "BatchRaiseOrTouch": batch}
    own = grpc.method_handlers_generic_handler(_SERVICE, written)
    server.add_generic_rpc_handlers((own,))  # before the generated one: the first one counts
    add_AlertServiceServicer_to_server(service, server)


def read_watch(request: alert_service_pb2.WatchEventsRequest) -> WatchRequest:
    """Return what is asked for, or raise InvalidArgumentError with all that is wrong."""
    found = Violations()
    after = _read_after(found, request.after) if request.HasField("after") else None
    from_oldest = request.HasField("after") and request.after == event_pb2.Position()
    if request.snapshot and request.HasField("after"):
        found.add("after", "must be unset with snapshot: the stream starts at the snapshot")
    check_scope(found, request.host_ids, request.kinds)
    wanted = EventFilter(
        frozenset(request.host_ids),
        frozenset(request.kinds),
        read_severity(found, "min_severity", request.min_severity) or 0,
        _read_types(found, request.types),
    )
    found.raise_if_any()
    return WatchRequest(after, from_oldest, request.snapshot, wanted)


def _read_after(found: Violations, after: event_pb2.Position) -> Position | None:
    if after.revision < 0:
        found.add("after.revision", f"is {after.revision}; write 0 or more")
    if not after.epoch and not after.revision:
        return None
    epoch = read_uuid(found, "after.epoch", after.epoch)
    return None if epoch is None else Position(epoch, after.revision)


def _read_types(found: Violations, numbers: Iterable[int]) -> frozenset[int]:
    known = (read_choice(found, "types", number, _TYPE_NAMES) for number in dict.fromkeys(numbers))
    return frozenset(number for number in known if number)
