"""TLS of a server: certificates that change under it, and those of its clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from support.pems import Pems, serial_of
from support.processes import free_port
from tocsin.common.rpc.channel import open_channel, open_sync_channel
from tocsin.common.rpc.door import Door
from tocsin.common.rpc.listening import ListenError
from tocsin.common.rpc.server import RpcServer
from tocsin.common.rpc.tls import ServerTls, TlsFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tocsin.common.rpc.client_credentials import ClientCredentials

SERVICE = "tocsin.api.alert.v1.AlertService"


@pytest.fixture
def pems(tmp_path: Path) -> Pems:
    return Pems(tmp_path)


def files(pems: Pems) -> TlsFiles:
    given = pems.server(clients=True)
    return TlsFiles(
        given["tls_certificate_file"], given["tls_key_file"], given["tls_client_ca_file"]
    )


@asynccontextmanager
async def serving(
    tls: TlsFiles, *, clients: bool = False, certified_listen: str | None = None
) -> AsyncIterator[str]:
    door = Door(tls=ServerTls(tls), clients_certified=clients, certified_listen=certified_listen)
    server = RpcServer("127.0.0.1:0", needs={SERVICE: ("database",)}, door=door)
    port = await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.server.stop(0)


async def asks(target: str, credentials: ClientCredentials) -> grpc.StatusCode:
    """Ask for health on a new connection, and return how it ended."""
    async with open_channel(target, credentials) as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=20
            )
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def presented(target: str) -> int:
    """Return the serial number of the certificate that a server presents now."""
    host, _, port = target.rpartition(":")
    return serial_of(ssl.get_server_certificate((host, int(port))).encode())


async def presented_now(target: str) -> int:
    return await asyncio.to_thread(presented, target)


async def test_the_next_connection_gets_the_certificate_that_was_renewed(pems: Pems) -> None:
    tls = files(pems)
    async with serving(tls) as target:
        assert serial_of(tls.certificate.read_bytes()) == await presented_now(target)
        pems.issue("server", "127.0.0.1")
        assert serial_of(tls.certificate.read_bytes()) == await presented_now(target)
        assert grpc.StatusCode.OK == await asks(target, pems.client())


async def test_while_the_files_cannot_be_used_the_former_certificate_holds(pems: Pems) -> None:
    tls = files(pems)
    former = serial_of(tls.certificate.read_bytes())
    async with serving(tls) as target:
        with capture_logs() as logs:
            key = tls.key.read_bytes()
            tls.key.write_text("half of a k")
            assert [former, former] == [await presented_now(target) for _ in range(2)]
            tls.key.unlink()
            assert former == await presented_now(target)
            assert grpc.StatusCode.OK == await asks(target, pems.client())
        assert key not in str(logs).encode()
        assert ["tls_files_unusable"] * 2 == [line["event"] for line in logs]

        pems.issue("server", "127.0.0.1")
        assert serial_of(tls.certificate.read_bytes()) == await presented_now(target)


async def test_a_client_without_a_certificate_comes_not_in_where_one_is_asked_for(
    pems: Pems,
) -> None:
    async with serving(files(pems), clients=True) as target:
        assert grpc.StatusCode.UNAVAILABLE == await asks(target, pems.client())
        assert grpc.StatusCode.OK == await asks(target, pems.client("web-1.example.org"))


async def test_a_certificate_of_another_authority_comes_not_in(pems: Pems, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    stranger = Pems(tmp_path / "theirs").client("web-1.example.org")
    pems.authority.cert_pem.write_to_path(tmp_path / "theirs" / "ca.pem")  # it does trust us
    async with serving(files(pems), clients=True) as target:
        assert grpc.StatusCode.UNAVAILABLE == await asks(target, stranger)


async def test_a_second_address_asks_for_certificates_where_the_first_does_not(
    pems: Pems,
) -> None:
    second = f"127.0.0.1:{free_port()}"
    async with serving(files(pems), certified_listen=second) as first:
        assert grpc.StatusCode.OK == await asks(first, pems.client())
        assert grpc.StatusCode.UNAVAILABLE == await asks(second, pems.client())
        assert grpc.StatusCode.OK == await asks(second, pems.client("web-1.example.org"))


async def test_a_client_that_does_not_trust_the_server_does_not_speak_to_it(
    pems: Pems, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    async with serving(files(pems)) as target:
        assert grpc.StatusCode.UNAVAILABLE == await asks(target, Pems(tmp_path / "theirs").client())


async def test_threads_come_in_as_well(pems: Pems) -> None:
    async with serving(files(pems), clients=True) as target:
        credentials = pems.client("web-1.example.org")

        def ask() -> int:
            with open_sync_channel(target, credentials) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
                return int(answer.status)

        assert health_pb2.HealthCheckResponse.NOT_SERVING == await asyncio.to_thread(ask)


async def test_a_second_address_that_is_taken_is_named(pems: Pems) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(ListenError, match=f"{address}: the port is taken"):
            async with serving(files(pems), certified_listen=address):
                pass
