"""The life of a server: where it listens, when it is ready, how it ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.refusals import refusal_of
from support.rpc_server import SERVICE, Scripted, scripted_server
from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.common.rpc.listening import ListenError
from tocsin.common.rpc.server import RpcServer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def health(server: Scripted) -> Any:
    return health_pb2_grpc.HealthStub(server.channel)


def about(service: str) -> Any:
    return health_pb2.HealthCheckRequest(service=service)


async def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    async with scripted_server() as server:
        second = RpcServer(server.target, needs={})
        with pytest.raises(ListenError) as caught:
            await second.start()

    assert f"Cannot listen on {server.target}: the port is taken by another program." == (
        str(caught.value)
    )


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("198.51.100.7:7070", "cannot assign requested address"),
        ("no-such-host.invalid:7070", "the host name is not known"),
    ],
)
async def test_an_address_that_is_not_ours_is_told_in_one_line(listen: str, why: str) -> None:
    with pytest.raises(ListenError, match=why):
        await RpcServer(listen, needs={}).start()


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_a_service_serves_once_its_conditions_hold(service: str) -> None:
    async with scripted_server() as server:
        assert NOT_SERVING == (await health(server).Check(about(service))).status

        server.server.readiness.set("database", True)
        assert SERVING == (await health(server).Check(about(service))).status

        server.server.readiness.set("database", False)
        assert NOT_SERVING == (await health(server).Check(about(service))).status


async def test_a_watcher_of_health_hears_of_each_change() -> None:
    async with scripted_server() as server:
        watch = health(server).Watch(about(SERVICE))

        assert NOT_SERVING == (await watch.read()).status
        server.server.readiness.set("database", True)
        assert SERVING == (await watch.read()).status
        server.server.readiness.drain()
        assert NOT_SERVING == (await watch.read()).status


async def test_the_health_of_an_unknown_service_is_not_found() -> None:
    async with scripted_server() as server:
        refusal = await refusal_of(health(server).Check(about("nope")))
        watched = await health(server).Watch(about("nope")).read()

    assert grpc.StatusCode.NOT_FOUND is refusal.code
    assert SERVICE_UNKNOWN == watched.status


async def test_all_services_are_listed_with_their_health() -> None:
    async with scripted_server() as server:
        listed = await health(server).List(health_pb2.HealthListRequest())

    assert {"": NOT_SERVING, SERVICE: NOT_SERVING} == {
        name: answer.status for name, answer in listed.statuses.items()
    }


async def test_draining_ends_a_stream_with_a_hint_to_try_again() -> None:
    async def stream(request: Any, context: Any) -> None:
        await context.write(alert_service_pb2.WatchEventsResponse())
        await asyncio.Event().wait()

    async with scripted_server(stream=stream) as server:
        call = server.stream()
        await call.read()
        draining = asyncio.create_task(server.server.drain())
        refusal = await refusal_of(call.read())
        async with asyncio.timeout(4):
            await draining

    assert (grpc.StatusCode.UNAVAILABLE, "DRAINING") == (refusal.code, refusal.reason)
    assert 1.0 == refusal.retry_after


async def test_draining_ends_a_stream_whose_reader_stands_still(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writing = asyncio.Event()

    async def stream(request: Any, context: Any) -> None:
        message = alert_service_pb2.WatchEventsResponse()
        message.position.epoch = "x" * 3_000_000
        while True:
            writing.set()
            await context.write(message)

    async with scripted_server(stream=stream) as server:
        call = server.stream()
        await writing.wait()
        await call.read()
        async with asyncio.timeout(5):
            await server.server.drain(timedelta(milliseconds=300))
        call.cancel()

    assert [] == caplog.messages


async def test_draining_lets_a_call_in_progress_finish_and_refuses_new_ones() -> None:
    begun, allowed = asyncio.Event(), asyncio.Event()

    async def unary(request: Any, context: Any) -> Any:
        begun.set()
        await allowed.wait()
        return backup_service_pb2.GetHostResponse()

    async with scripted_server(unary) as server:
        first = asyncio.create_task(server.call())
        await begun.wait()
        await server.server._draining.begin()  # the moment before the connection is told
        refusal = await refusal_of(server.call())
        draining = asyncio.create_task(server.server.drain())
        allowed.set()

        assert b"" == await first
        await draining

    assert (grpc.StatusCode.UNAVAILABLE, "DRAINING") == (refusal.code, refusal.reason)
