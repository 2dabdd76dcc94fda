"""Whether a service is ready, by the standard health protocol of gRPC."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tocsin.common.rpc.channel import open_sync_channel

_ASK_SECONDS = 2.0


def is_serving(target: str) -> bool:
    """Ask once whether the server at a target answers and calls itself SERVING."""
    with open_sync_channel(target) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_ASK_SECONDS
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
