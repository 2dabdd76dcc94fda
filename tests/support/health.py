"""Waiting for what a server says of its health, by the standard protocol of gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.waiting import WITHIN_SECONDS

if TYPE_CHECKING:
    import grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def ready(channel: grpc.aio.Channel) -> None:
    """Wait until the server calls itself ready."""
    await _until(SERVING, channel)


async def unready(channel: grpc.aio.Channel) -> None:
    """Wait until the server calls itself not ready."""
    await _until(NOT_SERVING, channel)


async def _until(status: int, channel: grpc.aio.Channel) -> None:
    request = health_pb2.HealthCheckRequest()
    watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=WITHIN_SECONDS)
    async for answer in watch:
        if answer.status == status:
            watch.cancel()
            return
    raise AssertionError(f"the server never told the status {status}")
