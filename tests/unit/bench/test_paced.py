"""The load that keeps to its moments, and what is heard of it, against the bare server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bench.bodies import ECHO, ECHOES, failure
from bench.echo import echo_server
from bench.load import LoadError
from bench.paced import raise_steadily
from bench.raw_streams import raw_streams
from bench.steady import THROUGH_ALERT, THROUGH_NOTHING, Heard
from tocsin.api.alert.v1.alert_pb2 import Alert
from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsResponse
from tocsin.api.alert.v1.event_pb2 import AlertEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COUNT = 20


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    server = echo_server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_every_call_is_answered_and_heard_and_none_before_it_was_due() -> None:
    heard = Heard(THROUGH_NOTHING, COUNT)
    async with (
        asyncio.timeout(30),
        echoing() as target,
        raw_streams(target, ECHOES, b"", 1, heard.take),
    ):
        steady = await asyncio.to_thread(
            raise_steadily, target, ECHO, "steady", rate=200, seconds=COUNT / 200
        )
        await heard.all.wait()

    assert (200, COUNT) == (steady.rate, len(steady.late))
    assert COUNT == len(heard.late)
    assert 0 < min(steady.late + heard.late)


async def test_a_call_that_fails_is_no_figure() -> None:
    async with asyncio.timeout(30), echoing() as target:
        with pytest.raises(LoadError, match="A call failed"):
            await asyncio.to_thread(
                raise_steadily, target, "/bench.Echo/No", "x", rate=1, seconds=1
            )


def test_of_what_is_heard_only_what_was_due_counts() -> None:
    heard = Heard(THROUGH_ALERT, 2)
    for texts in (["0", "disk full"], ["5", "6"]):
        events = [AlertEvent(alert=Alert(message=text)) for text in texts]
        heard.take(WatchEventsResponse(events=events).SerializeToString())

    assert 2 == len(heard.late)
    assert heard.all.is_set()
    assert ["7"] == list(THROUGH_NOTHING.read(failure("x", 1, "7").SerializeToString()))
