"""Attempts that overlap share connections; none outlives them, and none escapes the guard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from support.clock import ManualClock
from support.notifications import LOOPBACK
from support.receiver import running_receiver
from tocsin.notify.channels.http import GuardedHttp, HttpRequest
from tocsin.notify.domain.channel import Secrets
from tocsin.notify.domain.delivery import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.receiver import Receiver
    from tocsin.notify.domain.delivery import Receipt


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


class Ports:
    """Answers each request, and notes from which port of ours it came."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.held = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.seen.append(request.transport.get_extra_info("peername")[1])
        if request.path == "/held":
            await self.held.wait()
        return web.Response(status=204)


async def test_while_one_is_under_way_others_go_over_one_connection_after_each_other(
    receiver: Receiver,
) -> None:
    ports, http = Ports(), GuardedHttp(LOOPBACK, clock=ManualClock())
    receiver.respond = ports.answer
    held = asyncio.create_task(http.call(HttpRequest(f"{receiver.url}/held"), Secrets()))
    await receiver.wait_for(1)

    for _ in range(10):
        await http.call(HttpRequest(receiver.url), Secrets())
    ports.held.set()

    assert AttemptOutcome.DELIVERED is (await held).outcome
    assert 2 == len(set(ports.seen))


async def test_what_comes_alone_makes_a_connection_of_its_own(receiver: Receiver) -> None:
    ports, http = Ports(), GuardedHttp(LOOPBACK, clock=ManualClock())
    receiver.respond = ports.answer

    for _ in range(3):
        await http.call(HttpRequest(receiver.url), Secrets())

    assert 3 == len(set(ports.seen))


async def test_more_attempts_than_a_pool_would_hold_hang_and_delay_no_other(
    receiver: Receiver,
) -> None:
    ports, http = Ports(), GuardedHttp(LOOPBACK, clock=ManualClock())
    receiver.respond = ports.answer
    held = [
        asyncio.create_task(http.call(HttpRequest(f"{receiver.url}/held"), Secrets()))
        for _ in range(120)
    ]
    await receiver.wait_for(120)

    assert (
        AttemptOutcome.DELIVERED is (await http.call(HttpRequest(receiver.url), Secrets())).outcome
    )
    ports.held.set()
    await asyncio.gather(*held)


async def test_each_attempt_tells_by_itself_what_the_guard_refused(receiver: Receiver) -> None:
    ports, http = Ports(), GuardedHttp(LOOPBACK, clock=ManualClock())
    receiver.respond = ports.answer

    async def call(url: str) -> Receipt:
        return await http.call(HttpRequest(url), Secrets())

    allowed, refused = await asyncio.gather(call(receiver.url), call("http://10.0.0.1/"))

    assert AttemptOutcome.DELIVERED is allowed.outcome
    assert AttemptOutcome.REFUSED is refused.outcome
    assert "10.0.0.1 is not public" in refused.detail
