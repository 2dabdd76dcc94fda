"""One alert, from the stream to a channel of each type that has a far side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.alert_stubs import alert_id, an_alert, resolved
from support.notify import running_notify
from support.receiver import Answer, running_receiver
from support.scripted_log import ScriptedLog, serving
from support.waiting import eventually
from tocsin.api.notify.v1 import channel_service_pb2_grpc, delivery_service_pb2_grpc
from tocsin.api.notify.v1.channel_pb2 import (
    AlertmanagerConfig,
    Channel,
    DiscordConfig,
    GotifyConfig,
    HealthchecksConfig,
    NtfyConfig,
    PagerDutyConfig,
    SlackConfig,
    TeamsConfig,
    TelegramConfig,
)
from tocsin.api.notify.v1.channel_service_pb2 import CreateChannelRequest
from tocsin.api.notify.v1.delivery_pb2 import DELIVERY_STATE_DELIVERED
from tocsin.api.notify.v1.delivery_service_pb2 import ListDeliveriesRequest

if TYPE_CHECKING:
    from support.receiver import Receiver

pytestmark = pytest.mark.postgres

TOKEN = "0123456789abcdef0123456789abcdef"


def configurations(url: str) -> dict[str, Any]:
    """Return a configuration by each name, which is the first part of its path too."""
    return {
        "ntfy": NtfyConfig(server_url=f"{url}/ntfy", topic="backups", token=TOKEN),
        "slack": SlackConfig(webhook_url=f"{url}/slack/{TOKEN}"),
        "discord": DiscordConfig(webhook_url=f"{url}/discord/{TOKEN}"),
        "teams": TeamsConfig(webhook_url=f"{url}/teams/{TOKEN}"),
        "telegram": TelegramConfig(
            bot_token=f"123:{TOKEN}", chat_id="@backups", api_url=f"{url}/telegram"
        ),
        "gotify": GotifyConfig(server_url=f"{url}/gotify", token=TOKEN),
        "pagerduty": PagerDutyConfig(routing_key=TOKEN, events_url=f"{url}/pagerduty"),
        "healthchecks": HealthchecksConfig(ping_url=f"{url}/healthchecks/{TOKEN}"),
        "alertmanager": AlertmanagerConfig(url=f"{url}/alertmanager", bearer_token=TOKEN),
    }


def told(receiver: Receiver, name: str) -> list[str]:
    return [
        request.path.partition("?")[0]
        for request in receiver.requests
        if request.path.split("/")[1] == name
    ]


async def test_an_alert_rings_and_heals_on_a_channel_of_each_type(notify_url: str) -> None:
    log = ScriptedLog()
    async with (
        running_receiver() as receiver,
        serving(log) as port,
        running_notify(notify_url, f"127.0.0.1:{port}") as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as connection,
    ):
        receiver.always = Answer(200, body=b"OK")
        channels = channel_service_pb2_grpc.ChannelServiceStub(connection)
        deliveries = delivery_service_pb2_grpc.DeliveryServiceStub(connection)
        wanted = configurations(receiver.url)
        for name, config in wanted.items():
            channel = Channel(display_name=name, **{name: config})
            await channels.CreateChannel(CreateChannelRequest(channel=channel))

        async def delivered() -> int:
            request = ListDeliveriesRequest(states=[DELIVERY_STATE_DELIVERED])
            return len((await deliveries.ListDeliveries(request)).deliveries)

        async def all_are_told(times: int) -> bool:
            return await delivered() == times * len(wanted)

        log.append(an_alert(1))
        await eventually(lambda: all_are_told(1))
        log.append(resolved(1))
        await eventually(lambda: all_are_told(2))

    assert dict.fromkeys(wanted, 2) == {name: len(told(receiver, name)) for name in wanted}
    ping = f"/healthchecks/{TOKEN}"
    assert [f"{ping}/fail", ping] == told(receiver, "healthchecks")
    events = [each.json for each in receiver.requests if each.path == "/pagerduty"]
    assert [("trigger", alert_id(1)), ("resolve", alert_id(1))] == [
        (event["event_action"], event["dedup_key"]) for event in events
    ]
    assert ["/alertmanager/api/v2/alerts"] * 2 == told(receiver, "alertmanager")
