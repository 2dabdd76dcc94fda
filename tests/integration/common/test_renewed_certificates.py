"""A client's certificate is renewed under a channel that is open."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.pems import Pems
from support.rpc_server import SERVICE, scripted_server
from support.waiting import WITHIN_SECONDS
from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.api.alert.v1.backup_pb2 import Host
from tocsin.common.rpc.channel import open_channel, open_sync_channel
from tocsin.common.rpc.client_credentials import ClientCredentials
from tocsin.common.rpc.door import Door
from tocsin.common.rpc.tls import ServerTls, TlsFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from support.rpc_server import Scripted

GET = f"/{SERVICE}/GetHost"
TOKEN = "tocsin_" + "A" * 43


def shown_to(context: Any) -> str:
    return ",".join(name.decode() for name in context.auth_context().get("peer_dns", ()))


async def tell_name(request: Any, context: Any) -> Any:
    return backup_service_pb2.GetHostResponse(host=Host(host_id=shown_to(context)))


async def tell_when_asked(request: Any, context: Any) -> None:
    await context.write(alert_service_pb2.WatchEventsResponse())
    await asyncio.Event().wait()


@pytest.fixture
def pems(tmp_path: Path) -> Pems:
    return Pems(tmp_path)


@asynccontextmanager
async def a_server(pems: Pems) -> AsyncIterator[Scripted]:
    given = pems.server(clients=True)
    tls = ServerTls(
        TlsFiles(given["tls_certificate_file"], given["tls_key_file"], given["tls_client_ca_file"])
    )
    door = Door(tls=tls, clients_certified=True)
    async with scripted_server(tell_name, tell_when_asked, door=door) as server:
        yield server


def agent(pems: Pems, token: str = "") -> ClientCredentials:
    certificate, key = pems.issue("agent", "old.example.org")
    return ClientCredentials(
        token=token, ca_file=pems.ca, certificate_file=certificate, key_file=key
    )


def asking(channel: Any) -> Callable[[], Any]:
    """Return what asks a server by which name it knows this client."""
    method: Any = channel.unary_unary(
        GET, response_deserializer=backup_service_pb2.GetHostResponse.FromString
    )
    return lambda: method(b"", timeout=WITHIN_SECONDS)


@pytest.mark.parametrize("token", ["", TOKEN])
async def test_the_next_call_shows_the_new_certificate(pems: Pems, token: str) -> None:
    async with a_server(pems) as server, open_channel(server.target, agent(pems, token)) as channel:
        ask = asking(channel)
        before = (await ask()).host.host_id
        pems.issue("agent", "new.example.org")
        after = (await ask()).host.host_id

    assert ("old.example.org", "new.example.org") == (before, after)


async def test_threads_show_the_new_certificate_too(pems: Pems) -> None:
    def twice(target: str) -> list[str]:
        with open_sync_channel(target, agent(pems)) as channel:
            ask = asking(channel)
            first = ask().host.host_id
            pems.issue("agent", "new.example.org")
            return [first, ask().host.host_id]

    async with a_server(pems) as server:
        told = await asyncio.to_thread(twice, server.target)

    assert ["old.example.org", "new.example.org"] == told


async def test_a_stream_goes_on_over_one_renewal_and_the_channel_closes_all(pems: Pems) -> None:
    async with a_server(pems) as server:
        async with open_channel(server.target, agent(pems)) as channel:
            ask = asking(channel)
            method: Any = channel.unary_stream(f"/{SERVICE}/WatchEvents")
            stream = method(b"")
            await stream.read()
            pems.issue("agent", "new.example.org")
            await ask()
            reading = asyncio.ensure_future(stream.read())
            done, _ = await asyncio.wait({reading}, timeout=0.2)
            assert not done
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await reading


async def test_a_half_written_certificate_leaves_the_former_in_force(
    pems: Pems, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = agent(pems)
    assert credentials.key_file is not None
    async with a_server(pems) as server, open_channel(server.target, credentials) as channel:
        ask = asking(channel)
        with caplog.at_level(logging.WARNING):
            credentials.key_file.write_text("half of a k")
            told = [(await ask()).host.host_id for _ in range(2)]
        pems.issue("agent", "new.example.org")
        told.append((await ask()).host.host_id)

    assert ["old.example.org", "old.example.org", "new.example.org"] == told
    assert 1 == caplog.text.count("the former ones hold")
