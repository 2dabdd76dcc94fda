"""Who is not known costs no memory: such a call is admitted before its request is read."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from support.half_calls import half_calls
from support.pems import Pems
from support.processes import free_port
from support.refusals import refusal_of
from support.rpc_server import SERVICE, scripted_server
from support.waiting import WITHIN_SECONDS, eventually
from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.api.alert.v1.backup_pb2 import Host
from tocsin.common.errors import PermissionDeniedError, UnauthenticatedError
from tocsin.common.rpc.caller import Peer, anonymous_peer
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.door import Door
from tocsin.common.rpc.limits import RpcLimits
from tocsin.common.rpc.server import RpcServer
from tocsin.common.rpc.tls import ServerTls, TlsFiles
from tocsin.common.rpc.unread import MOST_READ_OF_STRANGERS
from tocsin.common.telemetry.tracing import TracingInterceptor, tracer_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.rpc_server import Scripted

GET = f"/{SERVICE}/GetHost"
WATCH = f"/{SERVICE}/WatchEvents"
HEALTH = "/grpc.health.v1.Health/Check"
KNOWN = ("authorization", "known")
GRANTED = ("certificate", "granted")
"""Stands for what is no token, and is let in none the less."""


def is_known(metadata: Any) -> bool:
    return KNOWN in [tuple(each) for each in metadata or ()]


class KnowsSome:
    """Admits who bears what is known, whoever shows a certificate, and all who ask for health."""

    def check_of(self, method: str) -> Any:
        def check(context: Any) -> Peer:
            if method.startswith("/grpc.health."):
                return anonymous_peer(context)
            if GRANTED in map(tuple, context.invocation_metadata()):
                return Peer("web-2", "")
            if is_known(context.invocation_metadata()) or context.auth_context().get("peer_dns"):
                return Peer("web-1", "")
            raise UnauthenticatedError("Nobody knows you.", reason="CREDENTIAL_MISSING")

        return check


class Codes:
    """Hears how calls end."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def of(self, method: str) -> Any:
        return lambda code, seconds: self.told.append(code)


def door(**settings: Any) -> Door:
    return Door(
        admission=KnowsSome(), let_in_by_token=lambda _, metadata: is_known(metadata), **settings
    )


async def answer(request: Any, context: Any) -> Any:
    return backup_service_pb2.GetHostResponse(host=Host(host_id=request.host_id))


async def tell_once(request: Any, context: Any) -> None:
    await context.write(alert_service_pb2.WatchEventsResponse(caught_up=request.snapshot))


@asynccontextmanager
async def a_server(**settings: Any) -> AsyncIterator[Scripted]:
    async with scripted_server(answer, tell_once, door=door(), **settings) as server:
        yield server


@pytest.mark.parametrize("method", [GET, WATCH])
async def test_a_stranger_is_refused_before_the_request_has_come(method: str) -> None:
    async with a_server() as server, half_calls(server.port) as calls:
        waiting = await calls.begin(method, KNOWN)
        refused = await calls.begin(method)

        await eventually(lambda: refused in calls.ended)

        assert waiting not in calls.ended


async def test_of_those_who_ask_for_health_few_requests_are_on_their_way_at_one_time() -> None:
    async with a_server() as server, half_calls(server.port) as calls:
        begun = [await calls.begin(HEALTH) for _ in range(MOST_READ_OF_STRANGERS + 1)]

        await eventually(lambda: calls.ended)

        assert set(begun[:1]) == calls.ended


async def test_questions_that_are_never_ended_keep_nobody_from_asking_for_health() -> None:
    async with a_server() as server, half_calls(server.port) as calls:
        for _ in range(MOST_READ_OF_STRANGERS + 1):
            await calls.begin(HEALTH)
        await eventually(lambda: calls.ended)

        assert HealthCheckResponse.NOT_SERVING == (await asked(server)).status


async def test_a_caller_that_goes_before_its_request_has_come_is_cancelled() -> None:
    codes = Codes()
    async with a_server(observer=codes) as server:
        async with half_calls(server.port) as calls:
            held = [await calls.begin(HEALTH) for _ in range(MOST_READ_OF_STRANGERS + 1)]
            await eventually(lambda: held[0] in calls.ended)
        await eventually(lambda: len(codes.told) == len(held))

    assert {"RESOURCE_EXHAUSTED": 1, "CANCELLED": MOST_READ_OF_STRANGERS} == Counter(codes.told)


async def test_many_who_ask_for_health_at_once_are_all_answered() -> None:
    async with a_server() as server:
        told = await asyncio.gather(*(asked(server) for _ in range(300)))

    assert {HealthCheckResponse.NOT_SERVING} == {each.status for each in told}


async def asked(server: Scripted) -> Any:
    return await HealthStub(server.channel).Check(HealthCheckRequest(), timeout=WITHIN_SECONDS)


async def test_a_request_is_not_awaited_for_longer_than_its_caller_would_be_let_in() -> None:
    lost = UnauthenticatedError("Revoked.", reason="CREDENTIAL_REVOKED")
    async with a_server() as server, half_calls(server.port) as calls:
        held = [await calls.begin(method, GRANTED) for method in (GET, WATCH)]

        def all_ended() -> bool:
            server.server.end_streams(lambda peer: lost if peer.actor == "web-2" else None)
            return set(held) == calls.ended

        await eventually(all_ended)


async def test_who_asks_for_health_and_never_ends_the_question_is_given_up() -> None:
    async with a_server() as server, half_calls(server.port) as calls:
        begun = await calls.begin(HEALTH)

        await eventually(lambda: begun in calls.ended)


async def test_known_callers_are_served_as_ever() -> None:
    async with a_server() as server:
        got = await called(server, "nas", KNOWN)

        assert "nas" == got.host.host_id


async def test_a_stranger_is_told_the_same_as_ever() -> None:
    async with a_server() as server:
        refused = await refusal_of(called(server, "nas"))

    assert (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING") == (refused.code, refused.reason)


@pytest.fixture
def pems(tmp_path: Path) -> Pems:
    return Pems(tmp_path)


@asynccontextmanager
async def certified_server(pems: Pems, unary: Any = answer, **more: Any) -> AsyncIterator[Scripted]:
    """Serve those with a certificate: no token tells beforehand who they are."""
    given = pems.server(clients=True)
    tls = ServerTls(
        TlsFiles(given["tls_certificate_file"], given["tls_key_file"], given["tls_client_ca_file"])
    )
    settings = {"door": door(tls=tls, clients_certified=True), **more}
    async with (
        scripted_server(unary, tell_once, **settings) as server,
        open_channel(server.target, pems.client("web-1.example.org")) as channel,
    ):
        server.channel = channel
        yield server


async def test_who_shows_a_certificate_is_served(pems: Pems) -> None:
    async with certified_server(pems) as server:
        got = await called(server, "nas")
        watched = await server.stream(b"\x10\x01").read()

    assert "nas" == got.host.host_id
    assert isinstance(watched, bytes)


async def test_bad_bytes_of_a_certified_caller_are_told_as_such(pems: Pems) -> None:
    async with certified_server(pems) as server:
        refused = await refusal_of(server.call(b"\xff\xff"))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD") == (refused.code, refused.reason)


async def test_a_certified_caller_who_sends_nothing_is_told_so(pems: Pems) -> None:
    async with certified_server(pems) as server:
        method: Any = server.channel.stream_unary(GET)
        refused = await refusal_of(method(iter(())))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD") == (refused.code, refused.reason)


async def test_the_log_names_what_a_certified_caller_was_refused(pems: Pems) -> None:
    async def refuse(request: Any, context: Any) -> None:
        raise PermissionDeniedError("Not yours.", reason="HOST_NOT_ALLOWED")

    with capture_logs() as lines:
        async with certified_server(pems, refuse) as server:
            await refusal_of(called(server, "nas"))

    assert [("HOST_NOT_ALLOWED", "nas")] == [
        (line["reason"], line["host_id"]) for line in lines if line["event"] == "call_refused"
    ]


async def called(server: Scripted, host_id: str, *metadata: tuple[str, str]) -> Any:
    request = backup_service_pb2.GetHostRequest(host_id=host_id).SerializeToString()
    method: Any = server.channel.unary_unary(GET)
    return backup_service_pb2.GetHostResponse.FromString(await method(request, metadata=metadata))


@asynccontextmanager
async def few_connections(pems: Pems) -> AsyncIterator[tuple[int, Any]]:
    given = pems.server()
    tls = ServerTls(TlsFiles(given["tls_certificate_file"], given["tls_key_file"]))
    server = RpcServer("127.0.0.1:0", needs={}, limits=RpcLimits(connections=3), door=Door(tls=tls))
    port = await server.start()
    trust = ssl.create_default_context(cafile=pems.ca)
    trust.set_alpn_protocols(["h2"])
    try:
        yield port, trust
    finally:
        await server.server.stop(0)


async def test_one_connection_too_many_is_closed_as_it_comes(pems: Pems) -> None:
    async with few_connections(pems) as (port, trust), asyncio.timeout(WITHIN_SECONDS):
        held = [
            await asyncio.open_connection("127.0.0.1", port),  # says nothing
            await asyncio.open_connection("127.0.0.1", port, ssl=trust),  # proves nothing
            await asyncio.open_connection("127.0.0.1", port, ssl=trust),
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert b"" == await reader.read(1)
        writer.close()

        held[-1][1].transport.abort()
        await eventually(lambda: comes_in(port, trust))
        for _, each in held[:-1]:
            each.close()


async def test_strangers_who_fill_the_first_address_leave_the_certified_one_to_its_callers(
    pems: Pems,
) -> None:
    given = pems.server(clients=True)
    tls = ServerTls(
        TlsFiles(given["tls_certificate_file"], given["tls_key_file"], given["tls_client_ca_file"])
    )
    second = f"127.0.0.1:{free_port()}"
    ways_in = Door(tls=tls, certified_listen=second)
    server = RpcServer("127.0.0.1:0", needs={}, limits=RpcLimits(connections=1), door=ways_in)
    port = await server.start()
    trust = ssl.create_default_context(cafile=pems.ca)
    trust.set_alpn_protocols(["h2"])
    _, stranger = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    try:
        assert not await comes_in(port, trust)
        async with open_channel(second, pems.client("web-1.example.org")) as channel:
            told = await HealthStub(channel).Check(HealthCheckRequest(), timeout=WITHIN_SECONDS)
    finally:
        stranger.transport.abort()
        await server.server.stop(0)

    assert HealthCheckResponse.SERVING == told.status


async def comes_in(port: int, trust: ssl.SSLContext) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_certified_call_has_its_span_and_a_stream_has_none(pems: Pems) -> None:
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    around = [TracingInterceptor(tracer_of("tests", provider))]
    async with certified_server(pems, around=around) as server:
        await called(server, "nas")
        await server.stream().read()

    assert [GET[1:]] == [span.name for span in kept.get_finished_spans()]
