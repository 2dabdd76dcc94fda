"""Storms, flapping and the breaker, through the whole service and its settings."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from support.alert_stubs import an_alert, resolved
from support.clock import ManualClock
from support.notify import running_notify
from support.receiver import Answer, Receiver, running_receiver
from support.scripted_log import ScriptedLog, serving
from support.waiting import eventually
from tocsin.api.notify.v1 import channel_pb2, channel_service_pb2, channel_service_pb2_grpc
from tocsin.api.notify.v1.channel_health_pb2 import BREAKER_STATE_OPEN, ChannelHealth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceAsyncStub
    from tocsin.common.clock import Clock

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def operating(
    url: str, log: ScriptedLog, *, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[ChannelServiceAsyncStub]:
    async with (
        serving(log) as port,
        running_notify(url, f"127.0.0.1:{port}", clock=clock, **settings) as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel,
    ):
        yield channel_service_pb2_grpc.ChannelServiceStub(channel)


async def webhook(
    channels: ChannelServiceAsyncStub, receiver: Receiver, rate: channel_pb2.RateLimit | None = None
) -> None:
    wanted = channel_pb2.Channel(
        display_name="on call",
        enabled=True,
        webhook=channel_pb2.WebhookConfig(url=receiver.url),
        rate_limit=rate,
    )
    await channels.CreateChannel(channel_service_pb2.CreateChannelRequest(channel=wanted))


def types(receiver: Receiver) -> list[str]:
    return [request.json["type"] for request in receiver.requests]


async def test_a_storm_reaches_a_webhook_with_a_rate_limit_in_digests(notify_url: str) -> None:
    log = ScriptedLog()
    rate = channel_pb2.RateLimit(burst=2, refill_period=Duration(seconds=1))
    async with running_receiver() as receiver, operating(notify_url, log) as channels:
        await webhook(channels, receiver, rate)
        for number in range(1, 41):
            log.append(an_alert(number))

        def named() -> int:
            return sum(
                request.json["data"]["total"] if "digest" in request.json["type"] else 1
                for request in receiver.requests
            )

        await receiver.wait_until(lambda: named() >= 40)

    assert 40 == named()
    assert len(receiver.requests) < 20
    assert "digest" in "".join(types(receiver))


async def test_a_key_that_flaps_is_told_as_the_settings_say(notify_url: str) -> None:
    log, clock = ScriptedLog(), ManualClock()
    async with (
        running_receiver() as receiver,
        operating(notify_url, log, clock=clock, flap_raises=3) as channels,
    ):
        await webhook(channels, receiver)
        for number in range(1, 6):
            log.append(an_alert(number, dedup_key="home"))
            if number < 3:
                await receiver.wait_for(2 * number - 1)
            log.append(resolved(number, dedup_key="home"))
            if number < 3:
                await receiver.wait_for(2 * number)
        await receiver.wait_for(5)
        clock.advance(seconds=3_700)
        await receiver.wait_for(6)

    raised_and_resolved = ["alert.raised", "alert.resolved"] * 2
    told = [each.removeprefix("tocsin.") for each in types(receiver)]
    assert raised_and_resolved == [each for each in told if "alert." in each]
    assert 2 == len([each for each in told if "notice." in each])


async def test_the_health_of_a_channel_that_fails_can_be_asked(notify_url: str) -> None:
    log = ScriptedLog()
    async with (
        running_receiver() as receiver,
        operating(notify_url, log, breaker_failures=3) as channels,
    ):
        receiver.always = Answer(503)
        await webhook(channels, receiver)
        for number in range(1, 6):
            log.append(an_alert(number))

        async def opened() -> ChannelHealth | None:
            request = channel_service_pb2.ListChannelHealthRequest()
            [health] = (await channels.ListChannelHealth(request)).channels
            return health if health.breaker == BREAKER_STATE_OPEN else None

        health = await eventually(opened)

    assert health is not None
    assert "on call" == health.channel_display_name
    assert health.failure_count >= 3
    assert "503" in health.last_error
