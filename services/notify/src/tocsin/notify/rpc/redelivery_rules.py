"""What RedeliverDeliveries may be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tocsin.api.notify.v1 import decision_pb2, delivery_pb2
from tocsin.common.errors import Violations
from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import read_choice, read_uuid
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.store.redelivery import RedeliveryFilter

if TYPE_CHECKING:
    from tocsin.api.notify.v1.delivery_service_pb2 import RedeliverDeliveriesRequest

LIMIT_DEFAULT: Final = 1_000
LIMIT_MOST: Final = 10_000

_STATES: Final[dict[int, str]] = {
    delivery_pb2.DELIVERY_STATE_DEAD: "DELIVERY_STATE_DEAD",
    delivery_pb2.DELIVERY_STATE_EXPIRED: "DELIVERY_STATE_EXPIRED",
}
# Those for which a delivery ends as one of these states.
_REASONS: Final[dict[int, str]] = {
    number: decision_pb2.DecisionReason.Name(number)
    for number in (
        decision_pb2.DECISION_REASON_TOO_LATE,
        decision_pb2.DECISION_REASON_REFUSED,
        decision_pb2.DECISION_REASON_ATTEMPTS_EXHAUSTED,
        decision_pb2.DECISION_REASON_CHANNEL_GONE,
    )
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_redelivery(request: RedeliverDeliveriesRequest, now: datetime) -> RedeliveryFilter:
    """Read which deliveries to send again. Raises InvalidArgumentError."""
    found = Violations()
    channel_id = read_uuid(found, "channel_id", request.channel_id) if request.channel_id else None
    states = [
        read_choice(found, f"states[{index}]", number, _STATES)
        for index, number in enumerate(request.states)
    ]
    reasons = [
        read_choice(found, f"reasons[{index}]", number, _REASONS)
        for index, number in enumerate(request.reasons)
    ]
    after, before = _bounds(found, request, now)
    limit = _limit(found, request.limit)
    found.raise_if_any()
    given = {DeliveryState(number) for number in states if number is not None}
    return RedeliveryFilter(
        channel_id=channel_id,
        states=tuple(sorted(given or {DeliveryState.DEAD})),
        reasons=tuple(sorted({DecisionReason(each) for each in reasons if each is not None})),
        after=after,
        before=before,
        limit=limit,
    )


def _bounds(
    found: Violations, request: RedeliverDeliveriesRequest, now: datetime
) -> tuple[datetime, datetime]:
    after: datetime | None = None
    if not request.HasField("settled_after_time"):
        found.add("settled_after_time", "must be set; write from when on what ended is sent again")
    else:
        after = read_timestamp(found, "settled_after_time", request.settled_after_time)
    before: datetime | None = now + timedelta(microseconds=1)  # what ended just now, too
    if request.HasField("settled_before_time"):
        before = read_timestamp(found, "settled_before_time", request.settled_before_time)
    if after is not None and before is not None and before <= after:
        found.add("settled_before_time", "is not after settled_after_time; write a later time")
    return after or _EPOCH, before or now


def _limit(found: Violations, value: int) -> int:
    if not 0 <= value <= LIMIT_MOST:
        found.add("limit", f"is {value:,}; write 1 to {LIMIT_MOST:,}, or 0 for {LIMIT_DEFAULT:,}")
    return value or LIMIT_DEFAULT
