from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.processes import free_port
from support.waiting import WITHIN_SECONDS
from tocsin.common.rpc.channel import balancing, open_channel
from tocsin.common.rpc.health_check import health_of, reachable_target
from tocsin.common.rpc.limits import RpcLimits
from tocsin.common.rpc.listening import ListenError
from tocsin.common.rpc.server import RpcServer

NEEDS = {"bell": ("database",)}


async def test_calls_to_a_name_go_to_every_server_that_it_stands_for() -> None:
    """127.0.0.1 is well and 127.0.0.2 is not: both are heard under one name."""
    port = free_port()
    servers = [RpcServer(f"127.0.0.{n}:{port}", needs=NEEDS) for n in (1, 2)]
    for server in servers:
        await server.start()
    servers[0].readiness.set("database", True)
    heard = set[int]()
    async with open_channel(f"ipv4:127.0.0.1:{port},127.0.0.2:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for _ in range(1_000):
            answer = await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            heard.add(answer.status)
            if len(heard) == len(servers):
                break
    for server in servers:
        await server.drain()

    assert 2 == len(heard)


@pytest.mark.parametrize("target", ["127.0.0.1:7070", "localhost:7070", "[::1]:1", "10.0.0.7:7070"])
def test_a_single_address_needs_one_connection(target: str) -> None:
    assert [] == balancing(target)


async def test_health_is_told_on_a_port_of_its_own_too() -> None:
    port = free_port()
    server = RpcServer("127.0.0.1:0", needs=NEEDS, health_listen=f"127.0.0.1:{port}")
    await server.start()
    try:
        target = f"127.0.0.1:{port}"
        assert "NOT_SERVING" == await asyncio.to_thread(health_of, target)
        server.readiness.set("database", True)
        assert "SERVING" == await asyncio.to_thread(health_of, target)
        with pytest.raises(ListenError, match=f"{port}, for health"):
            await RpcServer("127.0.0.1:0", needs=NEEDS, health_listen=target).start()
    finally:
        await server.drain()
    assert "UNREACHABLE" == await asyncio.to_thread(health_of, target)


async def test_the_port_for_health_has_the_limits_of_the_other_one() -> None:
    port = free_port()
    server = RpcServer(
        "127.0.0.1:0",
        needs=NEEDS,
        limits=RpcLimits(handshake=timedelta(seconds=1)),
        health_listen=f"127.0.0.1:{port}",
    )
    await server.start()
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while await reader.read(1024):  # the server's first words, and then the end
                pass
            writer.close()
    finally:
        await server.drain()


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        ("0.0.0.0:7079", "127.0.0.1:7079"),
        ("[::]:7079", "[::1]:7079"),
        ("10.1.2.3:7079", "10.1.2.3:7079"),
    ],
)
def test_who_listens_everywhere_is_asked_on_loopback(listen: str, target: str) -> None:
    assert target == reachable_target(listen)
