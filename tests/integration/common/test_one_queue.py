"""What a server waits for: the next call, not the next call of each method."""

from __future__ import annotations

import asyncio
from typing import Any

from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_service_pb2_grpc import (
    AlertServiceServicer,
    AlertServiceStub,
    add_AlertServiceServicer_to_server,
)
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.server import RpcServer


async def get_alert(_: Any, request: pb.GetAlertRequest, context: Any) -> pb.GetAlertResponse:
    answer = pb.GetAlertResponse()
    answer.alert.alert_id = request.alert_id
    return answer


def waits_for_calls() -> list[str]:
    """Name the coroutines in which gRPC waits for a call to begin."""
    coroutines: list[Any] = [task.get_coro() for task in asyncio.all_tasks()]
    names = [str(coroutine.__qualname__) for coroutine in coroutines]
    return [name for name in names if "_request_" in name]


async def test_one_wait_is_for_the_calls_of_all_methods_of_a_generated_service() -> None:
    server = RpcServer("127.0.0.1:0", needs={})
    answering = type("Answering", (AlertServiceServicer,), {"GetAlert": get_alert})
    add_AlertServiceServicer_to_server(answering(), server.server)
    port = await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            answer = await AlertServiceStub(channel).GetAlert(pb.GetAlertRequest(alert_id="a"))

        assert "a" == answer.alert.alert_id
        assert ["AioServer._request_call"] == waits_for_calls()
    finally:
        await server.server.stop(0)
