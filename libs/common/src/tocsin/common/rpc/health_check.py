"""Asks a server of this machine for its health: for containers and whoever else wants an exit code.

It goes by `grpc.health.v1`, without encryption: to the port for health when there is one.
"""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tocsin.common.rpc.channel import channel_options

ANSWER_SECONDS = 3.0

_ANY = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - what is replaced


def reachable_target(listen: str) -> str:
    """Return where to call a server that listens on an address: loopback for all addresses."""
    host, _, port = listen.rpartition(":")
    return f"{_ANY.get(host, host)}:{port}"


def health_of(listen: str, *, seconds: float = ANSWER_SECONDS) -> str:
    """Return what a server says of itself as a whole: SERVING or NOT_SERVING.

    It is UNREACHABLE when nothing answers within `seconds`.
    """
    request = health_pb2.HealthCheckRequest()
    with grpc.insecure_channel(reachable_target(listen), options=channel_options()) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=seconds)
        except grpc.RpcError:
            return "UNREACHABLE"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
