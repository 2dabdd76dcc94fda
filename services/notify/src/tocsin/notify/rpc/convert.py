"""Between the contract's messages and our own values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import decision_pb2, delivery_pb2
from tocsin.common.errors import InvalidArgumentError, Violations
from tocsin.common.rpc.times import to_timestamp
from tocsin.common.rpc.validate import read_uuid
from tocsin.notify.rpc.convert_decision import held_by

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.notify.domain.delivery import Attempt, Delivery

DELIVERY_STATES: dict[int, str] = {
    number: name for name, number in delivery_pb2.DeliveryState.items() if number != 0
}
"""The states that a filter may name."""


def id_of(path: str, text: str) -> UUID:
    """Return the UUID that a request names. Raises InvalidArgumentError."""
    found = Violations()
    read = read_uuid(found, path, text)
    if read is None:
        raise InvalidArgumentError.of(found.found)
    return read


def delivery_to_stub(delivery: Delivery) -> delivery_pb2.Delivery:
    """Return a delivery as callers see it."""
    return delivery_pb2.Delivery(
        delivery_id=str(delivery.delivery_id),
        channel_id=str(delivery.channel_id),
        channel_display_name=delivery.channel_display_name,
        event_id=str(delivery.event_id),
        event_type=delivery.event_type.dotted,
        epoch=str(delivery.epoch),
        revision=delivery.revision,
        synthetic=delivery.synthetic,
        alert_id=str(delivery.alert_id),
        host_id=delivery.host_id,
        kind=delivery.kind,
        dedup_key=delivery.dedup_key,
        state=delivery_pb2.DeliveryState.ValueType(delivery.state),
        state_reason=delivery.state_reason,
        attempt_count=delivery.attempt_count,
        next_attempt_time=_stamp(delivery.next_attempt_time),
        create_time=to_timestamp(delivery.create_time),
        settle_time=_stamp(delivery.settle_time),
        reason=decision_pb2.DecisionReason.ValueType(delivery.reason),
        route_id="" if delivery.route_id is None else str(delivery.route_id),
        told_as="" if delivery.told_as is None else delivery.told_as.dotted,
        collapsed_count=delivery.collapsed_count,
        **_told_elsewhere(delivery),
    )


def _told_elsewhere(delivery: Delivery) -> dict[str, str]:
    """Return what holds it or tells it. A digest does both, and to the end."""
    if delivery.carried_by is not None:
        return {"told_by_delivery_id": str(delivery.carried_by)}
    return held_by(delivery.reason, delivery.held_by)


def attempt_to_stub(attempt: Attempt) -> delivery_pb2.Attempt:
    """Return an attempt as callers see it."""
    return delivery_pb2.Attempt(
        number=attempt.number,
        start_time=to_timestamp(attempt.start_time),
        finish_time=_stamp(attempt.finish_time),
        outcome=delivery_pb2.AttemptOutcome.ValueType(attempt.outcome or 0),
        status_code=attempt.status_code,
        detail=attempt.detail,
    )


def _stamp(time: datetime | None) -> Timestamp | None:
    return None if time is None else to_timestamp(time)
