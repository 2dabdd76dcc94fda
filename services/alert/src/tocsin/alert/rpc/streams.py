"""WatchEvents on the wire: where its request says to start, and what its messages say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.rpc.convert import position_to_stub
from tocsin.alert.rpc.lists import check_scope
from tocsin.alert.rpc.observations import read_severity
from tocsin.alert.rpc.watch import WatchRequest
from tocsin.api.alert.v1 import alert_service_pb2, event_pb2
from tocsin.common.errors import Violations
from tocsin.common.rpc.validate import read_choice, read_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.alert.rpc.subscriber import WatchMessage

_TYPE_NAMES: dict[int, str] = {
    number: name for name, number in event_pb2.AlertEventType.items() if number
}


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


def watch_message_to_stub(message: WatchMessage) -> alert_service_pb2.WatchEventsResponse:
    response = alert_service_pb2.WatchEventsResponse(
        position=position_to_stub(message.position),
        caught_up=message.caught_up,
        snapshot_complete=message.snapshot_complete,
    )
    epoch = str(message.position.epoch)
    for entry in message.entries:
        event = response.events.add()
        event.MergeFromString(entry.payload)
        event.position.epoch = epoch
        event.position.revision = entry.revision
    for alert in message.snapshot_alerts:
        response.snapshot_alerts.add().MergeFromString(alert)
    return response


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
