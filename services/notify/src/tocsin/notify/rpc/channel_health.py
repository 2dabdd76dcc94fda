"""ListChannelHealth: whether channels work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import channel_health_pb2, channel_service_pb2, decision_pb2
from tocsin.common.rpc.times import to_timestamp
from tocsin.notify.rpc.convert import id_of

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.notify.domain.health import ChannelHealth
    from tocsin.notify.store.channel_health import ChannelHealthStore


async def list_channel_health(
    store: ChannelHealthStore, request: channel_service_pb2.ListChannelHealthRequest
) -> channel_service_pb2.ListChannelHealthResponse:
    """Answer the call. Raises InvalidArgumentError, NotFoundError (CHANNEL_NOT_FOUND)."""
    wanted = id_of("channel_id", request.channel_id) if request.channel_id else None
    return channel_service_pb2.ListChannelHealthResponse(
        channels=[_to_stub(health) for health in await store.read(wanted)]
    )


def _to_stub(health: ChannelHealth) -> channel_health_pb2.ChannelHealth:
    breaker = health.breaker
    return channel_health_pb2.ChannelHealth(
        channel_id=str(health.channel_id),
        channel_display_name=health.channel_display_name,
        breaker=channel_health_pb2.BreakerState.ValueType(breaker.state),
        since_time=_stamp(breaker.since_time),
        failure_count=breaker.failure_count,
        probe_time=_stamp(breaker.probe_time),
        last_error=breaker.last_error,
        last_error_time=_stamp(breaker.last_error_time),
        last_success_time=_stamp(breaker.last_success_time),
        pending_count=health.pending_count,
        held_count=health.held_count,
        oldest_pending_time=_stamp(health.oldest_pending_time),
        dead=[
            channel_health_pb2.DeadCount(
                reason=decision_pb2.DecisionReason.ValueType(reason), count=count
            )
            for reason, count in health.dead
        ],
    )


def _stamp(time: datetime | None) -> Timestamp | None:
    return None if time is None else to_timestamp(time)
