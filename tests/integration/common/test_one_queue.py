"""What a server waits for: the next calls, not the next call of each method."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc

from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_service_pb2_grpc import (
    AlertServiceServicer,
    AlertServiceStub,
    add_AlertServiceServicer_to_server,
)
from tocsin.common.rpc.asking_ahead import AT_ONCE, CallsAhead
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.draining import draining_error
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    import pytest


async def get_alert(_: Any, request: pb.GetAlertRequest, context: Any) -> pb.GetAlertResponse:
    answer = pb.GetAlertResponse()
    answer.alert.alert_id = request.alert_id
    return answer


def waits_for_calls() -> list[str]:
    """Name the coroutines in which gRPC waits for a call to begin."""
    coroutines: list[Any] = [task.get_coro() for task in asyncio.all_tasks()]
    names = [str(coroutine.__qualname__) for coroutine in coroutines]
    return [name for name in names if "_request_" in name or "CallsAhead" in name]


async def test_all_waits_are_for_the_calls_of_whatever_method_of_a_generated_service() -> None:
    server = RpcServer("127.0.0.1:0", needs={})
    answering = type("Answering", (AlertServiceServicer,), {"GetAlert": get_alert})
    add_AlertServiceServicer_to_server(answering(), server.server)
    port = await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            answer = await AlertServiceStub(channel).GetAlert(pb.GetAlertRequest(alert_id="a"))

        assert "a" == answer.alert.alert_id
        assert ["CallsAhead._go_on_asking"] * AT_ONCE == waits_for_calls()
    finally:
        await server.server.stop(0)


async def test_more_calls_than_are_asked_for_at_once_are_all_answered_with_their_own() -> None:
    server = RpcServer("127.0.0.1:0", needs={})
    answering = type("Answering", (AlertServiceServicer,), {"GetAlert": get_alert})
    add_AlertServiceServicer_to_server(answering(), server.server)
    port = await server.start()
    wanted = [str(number) for number in range(3 * AT_ONCE)]
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            stub = AlertServiceStub(channel)
            calls = [stub.GetAlert(pb.GetAlertRequest(alert_id=each)) for each in wanted]

            assert wanted == [(await call).alert.alert_id for call in calls]
    finally:
        await server.server.stop(0)


async def test_a_stop_ends_with_as_many_questions_open_as_there_are_calls() -> None:
    held = asyncio.Event()

    async def hold(_: Any, request: pb.GetAlertRequest, context: Any) -> pb.GetAlertResponse:
        held.set()
        await asyncio.Event().wait()
        return pb.GetAlertResponse()

    server = RpcServer("127.0.0.1:0", needs={})
    answering = type("Answering", (AlertServiceServicer,), {"GetAlert": hold})
    add_AlertServiceServicer_to_server(answering(), server.server)
    port = await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub = AlertServiceStub(channel)
        calls = [stub.GetAlert(pb.GetAlertRequest(), timeout=60) for _ in range(2 * AT_ONCE)]
        await held.wait()
        await server.server.stop(0)

        codes = {await call.code() for call in calls}
    assert codes <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
    await eventually(lambda: not waits_for_calls())


async def test_calls_that_came_ahead_of_a_stop_are_told_to_try_again_and_do_not_hold_it_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = RpcServer("127.0.0.1:0", needs={})
    answering = type("Answering", (AlertServiceServicer,), {"GetAlert": get_alert})
    add_AlertServiceServicer_to_server(answering(), server.server)
    port = await server.start()
    stops: list[asyncio.Task[None]] = []

    def come_together(ahead: Any, call: Any) -> None:
        ahead._came.append(call)
        if len(ahead._came) == AT_ONCE:
            # Its turn is before that of the main loop, so that this finds the server stopping.
            stops.append(asyncio.ensure_future(server.server.stop(600)))
            ahead._next.come(ahead._came.popleft())

    monkeypatch.setattr(CallsAhead, "_come", come_together)
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub = AlertServiceStub(channel)
        calls = [stub.GetAlert(pb.GetAlertRequest(), timeout=20) for _ in range(AT_ONCE)]
        ends = Counter([(await call.code()).name for call in calls])
        reasons = {await call.details() for call in calls}
    await asyncio.gather(*stops)

    assert {"OK": 1, "UNAVAILABLE": AT_ONCE - 1} == ends
    assert {"", draining_error().message} == reasons
