"""The limits that gRPC itself keeps, on a real server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.refusals import refusal_of
from support.rpc_server import SERVICE, scripted_server
from support.waiting import WITHIN_SECONDS, eventually
from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.client.backup_aio import BackupClient
from tocsin.client.retry import RetryPolicy
from tocsin.common.rpc.caller import Peer
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.door import Door
from tocsin.common.rpc.limits import RpcLimits
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.rpc_server import Scripted

ALERT_SERVICE = "tocsin.api.alert.v1.AlertService"
WATCH = f"/{ALERT_SERVICE}/WatchEvents"


async def answer(request: Any, context: Any) -> Any:
    return backup_service_pb2.GetHostResponse()


async def stand_still(request: Any, context: Any) -> None:
    await context.write(alert_service_pb2.WatchEventsResponse())
    await asyncio.Event().wait()


async def test_headers_that_are_too_large_are_refused_every_time() -> None:
    limits = RpcLimits(metadata_bytes=8192)
    async with scripted_server(answer, limits=limits) as server:
        method: Any = server.channel.unary_unary(f"/{SERVICE}/GetHost")
        await method(b"", metadata=(("note", "x" * 6000),))
        for _ in range(5):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(b"", metadata=(("note", "x" * 9000),))
            assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()


async def test_a_connection_that_says_nothing_is_closed() -> None:
    limits = RpcLimits(handshake=timedelta(seconds=1))
    async with scripted_server(answer, limits=limits) as server, asyncio.timeout(WITHIN_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while await reader.read(1024):  # the server's first words, and then the end
            pass
        writer.close()


async def test_more_streams_than_a_connection_may_hold_wait_at_the_client() -> None:
    limits = RpcLimits(streams_per_connection=2)
    async with scripted_server(answer, stand_still, limits=limits) as server:
        streams = [server.stream() for _ in range(2)]
        for stream in streams:
            await stream.read()
        waiting = asyncio.ensure_future(server.call())
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done

        streams[0].cancel()
        async with asyncio.timeout(WITHIN_SECONDS):
            await waiting


class Stubborn:
    """Goes on until it is told to let go, also when the caller has given up."""

    def __init__(self) -> None:
        self.begun = 0
        self.let_go = asyncio.Event()

    async def answer(self, request: Any, context: Any) -> Any:
        self.begun += 1
        while not self.let_go.is_set():
            with suppress(asyncio.CancelledError):
                await self.let_go.wait()
        return backup_service_pb2.GetHostResponse()

    async def give_up(self, call: Any) -> None:
        """Give a call up once it has begun here."""
        before = self.begun
        await eventually(lambda: self.begun > before)
        call.cancel()


@asynccontextmanager
async def three_given_up_where_two_fit() -> AsyncIterator[tuple[Scripted, Stubborn]]:
    """Fill a connection with calls that their caller has given up and the server has not."""
    limits, stubborn = RpcLimits(streams_per_connection=2), Stubborn()
    async with scripted_server(stubborn.answer, limits=limits) as server:
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                for _ in range(3):
                    await stubborn.give_up(server.unary())
                yield server, stubborn
        finally:
            stubborn.let_go.set()


async def test_calls_given_up_count_for_their_connection_until_the_server_lets_go_of_them() -> None:
    async with three_given_up_where_two_fit() as (server, stubborn):
        refused = await refusal_of(server.call())
        assert (grpc.StatusCode.UNAVAILABLE, 3) == (refused.code, stubborn.begun)

        stubborn.let_go.set()
        await eventually(lambda: is_taken(server.unary()))


async def is_taken(call: Any) -> bool:
    return bool(await call.code() is grpc.StatusCode.OK)


async def test_a_client_tries_again_when_its_connection_is_full_of_calls_given_up() -> None:
    pauses = list[float]()
    async with three_given_up_where_two_fit() as (server, stubborn):

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            stubborn.let_go.set()
            await asyncio.sleep(seconds)

        await BackupClient(server.channel, retry=RetryPolicy(async_sleep=pause)).get_host("nas")

    assert pauses
    assert 4 == stubborn.begun


async def test_a_connection_that_has_come_of_age_ends_its_streams_after_the_grace() -> None:
    limits = RpcLimits(
        connection_age=timedelta(seconds=1), connection_age_grace=timedelta(seconds=0.2)
    )
    async with scripted_server(answer, stand_still, limits=limits) as server:
        stream = server.stream()
        await stream.read()
        async with asyncio.timeout(WITHIN_SECONDS):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.read()

        assert grpc.StatusCode.UNAVAILABLE == caught.value.code()
        await server.call()  # over a new connection


async def test_calls_go_on_while_connections_come_of_age() -> None:
    limits = RpcLimits(
        connection_age=timedelta(seconds=0.3), connection_age_grace=timedelta(seconds=5)
    )
    async with scripted_server(answer, limits=limits) as server:
        begin = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - begin < 2:
            await server.call()


class AsSomebody:
    """Admits everybody under the name that they give."""

    def check_of(self, method: str) -> Any:
        return lambda context: Peer(dict(context.invocation_metadata())["name"], "")


async def test_streams_are_counted_for_each_caller_until_they_end() -> None:
    limits = RpcLimits(streams_per_caller=2)
    door = Door(admission=AsSomebody())
    async with watched_server(limits=limits, door=door) as channel:
        method: Any = channel.unary_stream(WATCH)

        async def begun(name: str) -> Any:
            stream = method(b"", metadata=(("name", name),))
            await stream.read()
            return stream

        first = await begun("notify")
        await begun("notify")
        refused = await refusal_of(begun("notify"))
        assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS") == (
            refused.code,
            refused.reason,
        )
        assert refused.retry_after
        await begun("another")

        first.cancel()
        await _until_taken(lambda: begun("notify"))


@asynccontextmanager
async def watched_server(**settings: Any) -> AsyncIterator[grpc.aio.Channel]:
    """Serve streams that stand still, under the name of those that there are."""
    server = RpcServer("127.0.0.1:0", needs={}, **settings)
    handler = grpc.unary_stream_rpc_method_handler(
        stand_still,
        alert_service_pb2.WatchEventsRequest.FromString,
        alert_service_pb2.WatchEventsResponse.SerializeToString,
    )
    server.server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(ALERT_SERVICE, {"WatchEvents": handler}),)
    )
    port = await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.server.stop(0)


async def _until_taken(begin: Any) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while True:
            try:
                await begin()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.01)
            else:
                return


async def test_too_many_calls_are_refused_with_the_time_to_come_back() -> None:
    limits = RpcLimits(calls_per_second=0.01, call_burst=2)
    door = Door(admission=AsSomebody())
    async with scripted_server(answer, limits=limits, door=door) as server:
        method: Any = server.channel.unary_unary(f"/{SERVICE}/GetHost")
        metadata = (("name", "restic"),)
        for _ in range(2):
            await method(b"", metadata=metadata)
        refused = await refusal_of(method(b"", metadata=metadata))

    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED") == (refused.code, refused.reason)
    assert refused.retry_after is not None
    assert 90 < refused.retry_after <= 100
