"""The floor: what the module that Tocsin replaces got wrong first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.alert import running_alert
from support.notify import running_notify
from support.receiver import Receiver, running_receiver
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, NotifyClient

if TYPE_CHECKING:
    from support.postgres import NewDatabase

pytestmark = pytest.mark.postgres

HOST, KIND = "web-1", "backup_failed"


def told(receiver: Receiver) -> list[tuple[str, str, str]]:
    """Return what the receiver was told: the type, and which host and source group it names."""
    bodies: list[dict[str, Any]] = [request.json for request in receiver.requests]
    alerts = [(body["type"], body["data"]["alert"]) for body in bodies]
    return [(event, alert["host_id"], alert["dedup_key"]) for event, alert in alerts]


async def open_keys(alerts: AlertClient) -> set[str]:
    return {alert.dedup_key async for alert in alerts.list_alerts()}


async def test_two_source_groups_failing_on_one_host_make_two_open_alerts_told_apart_and_healing_one_leaves_the_other(  # noqa: E501
    new_database: NewDatabase,
) -> None:
    async with (
        running_receiver() as receiver,
        running_alert(await new_database("alert")) as alert,
        running_notify(await new_database("notify"), alert.target) as notify,
        AlertClient(alert.target) as alerts,
        NotifyClient(f"127.0.0.1:{notify.port}") as channels,
    ):
        webhook = WebhookConfig(url=receiver.url)
        await channels.create_channel(Channel(display_name="on call", webhook=webhook))

        await alerts.raise_or_touch(HOST, KIND, "photos", message="source is missing")
        await alerts.raise_or_touch(HOST, KIND, "database", message="wrong password")
        await receiver.wait_for(2)

        assert {"photos", "database"} == await open_keys(alerts)
        raised = {("alert.raised", HOST, "photos"), ("alert.raised", HOST, "database")}
        assert raised == set(told(receiver))
        assert 2 == len({request.json["data"]["summary"] for request in receiver.requests})

        await alerts.auto_resolve(HOST, KIND, "photos")
        await receiver.wait_for(3)

        assert {"database"} == await open_keys(alerts)
        assert ("alert.resolved", HOST, "photos") == told(receiver)[2]
