"""What a caller is told when a call fails, over a real connection."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
import structlog

from support.refusals import refusal_of
from support.rpc_server import SERVICE, scripted_server
from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.common.errors import (
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from tocsin.common.rpc.limits import RpcLimits

SECRET = "hunter2"


async def test_an_error_of_ours_is_told_with_its_details() -> None:
    async def unary(request: Any, context: Any) -> Any:
        raise InvalidArgumentError.of([FieldViolation("host_id", "must not be empty")])

    async with scripted_server(unary) as server:
        refusal = await refusal_of(server.call())

    assert grpc.StatusCode.INVALID_ARGUMENT is refusal.code
    assert ("INVALID_FIELD", "tocsin") == (refusal.reason, refusal.domain)
    assert {"host_id": "must not be empty"} == refusal.violations


async def test_a_bug_is_told_by_an_id_under_which_the_log_has_the_rest() -> None:
    async def unary(request: Any, context: Any) -> Any:
        raise ZeroDivisionError(SECRET)

    with structlog.testing.capture_logs() as logs:
        async with scripted_server(unary) as server:
            refusal = await refusal_of(server.call())

    assert grpc.StatusCode.INTERNAL is refusal.code
    assert "INTERNAL" == refusal.reason
    assert SECRET not in repr(refusal)
    (line,) = logs
    assert refusal.metadata["error_id"] == line["error_id"]
    assert line["exc_info"]


async def test_an_error_in_a_stream_is_told_after_what_was_written() -> None:
    async def stream(request: Any, context: Any) -> None:
        await context.write(alert_service_pb2.WatchEventsResponse(caught_up=True))
        raise NotFoundError("There is none.", reason="ALERT_NOT_FOUND")

    async with scripted_server(stream=stream) as server:
        call = server.stream()
        assert alert_service_pb2.WatchEventsResponse(caught_up=True).SerializeToString() == (
            await call.read()
        )
        refusal = await refusal_of(call.read())

    assert (grpc.StatusCode.NOT_FOUND, "ALERT_NOT_FOUND") == (refusal.code, refusal.reason)


async def test_a_bug_in_a_stream_that_yields_leaks_nothing() -> None:
    async def stream(request: Any, context: Any) -> Any:
        yield alert_service_pb2.WatchEventsResponse()
        raise KeyError(SECRET)

    with structlog.testing.capture_logs():
        async with scripted_server(stream=stream) as server:
            call = server.stream()
            await call.read()
            refusal = await refusal_of(call.read())

    assert grpc.StatusCode.INTERNAL is refusal.code
    assert SECRET not in repr(refusal)


async def test_a_behaviour_may_still_end_its_own_call() -> None:
    async def unary(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.ABORTED, "as it wishes")

    async with scripted_server(unary) as server:
        refusal = await refusal_of(server.call())

    assert (grpc.StatusCode.ABORTED, "as it wishes") == (refusal.code, refusal.message)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x0a\x02\xff\xfe", "holds text that is not valid UTF-8"),
        (b"\xff\xff\xff", "is not a protobuf message of this method's request type"),
        (b"\x0a\x7fshort", "is not a protobuf message of this method's request type"),
    ],
)
async def test_bytes_that_are_no_request_are_an_invalid_argument(raw: bytes, words: str) -> None:
    async with scripted_server() as server:
        refusal = await refusal_of(server.call(raw))

    assert grpc.StatusCode.INVALID_ARGUMENT is refusal.code
    assert words in refusal.violations["request"]


async def test_bytes_that_are_no_request_of_a_stream_are_an_invalid_argument() -> None:
    async with scripted_server() as server:
        refusal = await refusal_of(server.stream(b"\xff\xff\xff").read())

    assert grpc.StatusCode.INVALID_ARGUMENT is refusal.code
    assert ["request"] == list(refusal.violations)


async def test_a_request_that_is_too_large_is_refused_with_both_sizes() -> None:
    async with scripted_server(limits=RpcLimits(message_bytes=100_000)) as server:
        refusal = await refusal_of(server.call(b"\x0a" + b"x" * 100_000))

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is refusal.code
    assert "100001 vs. 100000" in refusal.message


async def test_a_method_that_does_not_exist_is_unimplemented() -> None:
    async with scripted_server() as server:
        nope: Any = server.channel.unary_unary("/tocsin.api.alert.v1.BackupService/Nope")
        refusal = await refusal_of(nope(b""))

    assert grpc.StatusCode.UNIMPLEMENTED is refusal.code


@pytest.mark.parametrize("streams", [False, True])
async def test_a_cancelled_call_is_cancelled_inside_and_is_no_error(streams: bool) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def behave(request: Any, context: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
            raise

    with structlog.testing.capture_logs() as logs:
        async with scripted_server(behave, behave) as server:
            call = server.stream() if streams else server.unary()
            await begun.wait()
            call.cancel()
            async with asyncio.timeout(30):
                await ended.wait()

    assert [] == logs


async def test_a_handler_is_looked_up_once_and_serves_every_call() -> None:
    async def unary(request: Any, context: Any) -> Any:
        return backup_service_pb2.GetHostResponse()

    async with scripted_server(unary) as server:
        assert [b"", b"", b""] == [await server.call() for _ in range(3)]


async def test_a_peer_that_goes_away_in_the_middle_of_a_stream_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = asyncio.Event()

    async def stream(request: Any, context: Any) -> None:
        try:
            while True:
                await context.write(alert_service_pb2.WatchEventsResponse(caught_up=True))
        finally:
            ended.set()

    with structlog.testing.capture_logs() as logs:
        async with scripted_server(stream=stream) as server:
            call = server.stream()
            await call.read()
            await server.channel.close()
            async with asyncio.timeout(30):
                await ended.wait()

    assert [] == logs
    assert [] == caplog.messages


async def test_a_call_that_is_refused_is_logged_once_with_the_ids_that_it_bears() -> None:
    async def missing(request: Any, context: Any) -> Any:
        raise NotFoundError("No host web-1.", reason="HOST_NOT_FOUND")

    raw = backup_service_pb2.GetHostRequest(host_id="web-1").SerializeToString()
    with structlog.testing.capture_logs() as logs:
        async with scripted_server(missing) as server:
            await refusal_of(server.call(raw))

    assert [
        {
            "event": "call_refused",
            "log_level": "info",
            "method": f"/{SERVICE}/GetHost",
            "code": "NOT_FOUND",
            "reason": "HOST_NOT_FOUND",
            "error": "No host web-1.",
            "host_id": "web-1",
        }
    ] == [line for line in logs if line["event"] == "call_refused"]


async def test_a_call_that_the_server_could_not_serve_is_a_warning() -> None:
    async def away(request: Any, context: Any) -> Any:
        raise UnavailableError("The database does not answer.")

    with structlog.testing.capture_logs() as logs:
        async with scripted_server(away) as server:
            await refusal_of(server.call())

    assert ["warning"] == [line["log_level"] for line in logs if line["event"] == "call_refused"]


async def test_a_call_that_succeeds_is_not_logged() -> None:
    with structlog.testing.capture_logs() as logs:
        async with scripted_server() as server:
            await server.call()

    assert [] == logs
