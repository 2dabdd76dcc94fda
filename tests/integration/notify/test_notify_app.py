"""tocsin-notify as a whole: from the stream to a signed webhook, and its readiness."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from standardwebhooks import Webhook

from support.alert_stubs import alert_id, an_alert, resolved
from support.notify import NO_ALERT_SERVICE, notify_settings, running_notify
from support.receiver import Answer, running_receiver
from support.scripted_log import ScriptedLog, serving
from support.waiting import eventually
from tocsin.api.notify.v1 import (
    channel_pb2,
    channel_service_pb2,
    channel_service_pb2_grpc,
    delivery_service_pb2,
    delivery_service_pb2_grpc,
)
from tocsin.common.postgres.reachable import UnreachableError
from tocsin.common.postgres.revisions import MigrationError
from tocsin.common.rpc.listening import ListenError
from tocsin.notify.app import NotifyApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.api.notify.v1.delivery_pb2 import Delivery

pytestmark = pytest.mark.postgres

DELIVERIES = "tocsin.api.notify.v1.DeliveryService"
CHANNELS = "tocsin.api.notify.v1.ChannelService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Operator:
    """Calls the service as a person would."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channels = channel_service_pb2_grpc.ChannelServiceStub(channel)
        self.deliveries = delivery_service_pb2_grpc.DeliveryServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    async def webhook(self, url: str) -> tuple[str, str]:
        """Create a webhook: its id and its secret."""
        wanted = channel_pb2.Channel(
            display_name=url, enabled=True, webhook=channel_pb2.WebhookConfig(url=url)
        )
        made = await self.channels.CreateChannel(
            channel_service_pb2.CreateChannelRequest(channel=wanted)
        )
        return made.channel.channel_id, made.generated_signing_secret

    async def listed(self) -> list[Delivery]:
        answer = await self.deliveries.ListDeliveries(delivery_service_pb2.ListDeliveriesRequest())
        return list(answer.deliveries)[::-1]

    async def status(self, service: str) -> int:
        answer = await self.health.Check(health_pb2.HealthCheckRequest(service=service))
        return int(answer.status)

    async def until_ready(self) -> None:
        async def is_ready() -> bool:
            return bool(await self.status(DELIVERIES) == SERVING)

        await eventually(is_ready)


@asynccontextmanager
async def operating(app: NotifyApp) -> AsyncIterator[Operator]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield Operator(channel)


async def test_an_alert_rings_heals_and_falls_silent_by_signed_webhooks(notify_url: str) -> None:
    log = ScriptedLog()
    async with (
        running_receiver() as receiver,
        serving(log) as port,
        running_notify(notify_url, f"127.0.0.1:{port}") as app,
        operating(app) as operator,
    ):
        await operator.until_ready()
        _, secret = await operator.webhook(receiver.url)
        raised = log.append(an_alert(1))
        await receiver.wait_for(1)
        over = log.append(resolved(1))
        requests = await receiver.wait_for(2)

    assert [raised.event_id, over.event_id] == [request.webhook_id for request in requests]
    for request, kind in zip(requests, ("alert.raised", "alert.resolved"), strict=True):
        told = Webhook(secret).verify(request.body.decode(), dict(request.headers))
        assert kind in told["type"]
        assert alert_id(1) in request.body.decode()


async def test_a_failing_receiver_gets_the_same_event_again_until_it_accepts(
    notify_url: str,
) -> None:
    log = ScriptedLog()
    async with (
        running_receiver() as receiver,
        serving(log) as port,
        running_notify(notify_url, f"127.0.0.1:{port}") as app,
        operating(app) as operator,
    ):
        await operator.until_ready()
        await operator.webhook(receiver.url)
        receiver.script(Answer(503), Answer(drop=True), Answer(429))
        log.append(an_alert(1))
        requests = await receiver.wait_for(4)

    assert 1 == len({request.webhook_id for request in requests})


async def test_a_restart_in_the_middle_loses_nothing(notify_url: str) -> None:
    log = ScriptedLog()
    async with running_receiver() as receiver, serving(log) as port:
        target = f"127.0.0.1:{port}"
        async with running_notify(notify_url, target) as app, operating(app) as operator:
            await operator.until_ready()
            await operator.webhook(receiver.url)
            log.append(an_alert(1))
            await receiver.wait_for(1)
        for number in range(2, 30):
            log.append(an_alert(number))
        async with running_notify(notify_url, target):
            await receiver.wait_until(lambda: len(receiver.webhook_ids) == 29)

    assert {event.event_id for event in log.events} == receiver.webhook_ids


async def test_readiness_says_what_is_missing(notify_url: str) -> None:
    log = ScriptedLog()
    async with running_notify(notify_url, NO_ALERT_SERVICE) as app, operating(app) as operator:

        async def keeps_channels() -> bool:
            return bool(await operator.status(CHANNELS) == SERVING)

        await eventually(keeps_channels)
        assert NOT_SERVING == await operator.status(DELIVERIES)
        assert NOT_SERVING == await operator.status("")
    async with (
        serving(log) as port,
        running_notify(notify_url, f"127.0.0.1:{port}") as app,
        operating(app) as operator,
    ):
        await operator.until_ready()
        assert SERVING == await operator.status("")


async def test_what_could_not_be_told_is_listed_as_dead_with_the_reason(notify_url: str) -> None:
    log = ScriptedLog()
    async with (
        running_receiver() as receiver,
        serving(log) as port,
        running_notify(notify_url, f"127.0.0.1:{port}", retry_seconds=(0, 0)) as app,
        operating(app) as operator,
    ):
        receiver.always = Answer(500)
        await operator.until_ready()
        await operator.webhook(receiver.url)
        log.append(an_alert(1))

        async def is_dead() -> bool:
            return [5] == [delivery.state for delivery in await operator.listed()]

        await eventually(is_dead)
        [delivery] = await operator.listed()

    assert delivery.state_reason.startswith("Given up after 2 attempts. The last one: ")


async def test_a_taken_port_is_told_and_nothing_is_left_running(notify_url: str) -> None:
    async with running_notify(notify_url, NO_ALERT_SERVICE) as app:
        second = NotifyApp(
            notify_settings(notify_url, NO_ALERT_SERVICE, listen=f"127.0.0.1:{app.port}")
        )
        with pytest.raises(ListenError, match="the port is taken"):
            await second.start()
        await second.stop()


async def test_a_database_that_does_not_answer_is_told(empty_url: str) -> None:
    away = notify_settings(
        "postgresql://tocsin:pw@127.0.0.1:1/x", NO_ALERT_SERVICE, database_wait_seconds=0
    )
    with pytest.raises(UnreachableError, match="does not answer"):
        await NotifyApp(away).start()
    with pytest.raises(MigrationError, match="Migrate it first"):
        await NotifyApp(notify_settings(empty_url, NO_ALERT_SERVICE)).start()


async def test_it_migrates_an_empty_database_at_the_start(empty_url: str) -> None:
    async with running_notify(empty_url, NO_ALERT_SERVICE, migrate_on_start=True) as app:
        assert app.port > 0
