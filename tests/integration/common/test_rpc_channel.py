"""The channels of Tocsin's own clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.rpc_server import scripted_server
from tocsin.common.rpc.channel import open_channel, open_sync_channel

if TYPE_CHECKING:
    import pytest

NOWHERE = "http://127.0.0.1:1"


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_server() as server:
        for name in ("grpc_proxy", "https_proxy", "http_proxy"):
            monkeypatch.setenv(name, NOWHERE)
        for name in ("no_grpc_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)

        async with open_channel(server.target) as channel:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        with open_sync_channel(server.target) as sync_channel:
            check = health_pb2_grpc.HealthStub(sync_channel).Check
            await asyncio.to_thread(check, health_pb2.HealthCheckRequest(), timeout=10)
