"""notify proves itself to the alert service as any client does, and keeps an audit trail."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.alert import running_alert
from support.identity import Credentials
from support.notify import NO_ALERT_SERVICE, notify_settings, running_notify
from support.pems import Pems
from support.waiting import eventually
from tocsin.api.auth.v1 import identity_service_pb2 as auth_pb
from tocsin.api.auth.v1.identity_service_pb2_grpc import IdentityServiceStub
from tocsin.api.notify.v1 import (
    channel_pb2,
    channel_service_pb2,
    matcher_pb2,
    route_pb2,
    route_service_pb2,
    silence_pb2,
    silence_service_pb2,
)
from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceStub
from tocsin.api.notify.v1.route_service_pb2_grpc import RouteServiceStub
from tocsin.api.notify.v1.silence_service_pb2_grpc import SilenceServiceStub
from tocsin.client import AlertClient, NotifyClient
from tocsin.common.identity.roles import Role
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.client_credentials import ClientCredentials
from tocsin.notify.app import NotifyApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import grpc

pytestmark = pytest.mark.postgres

STREAM = "tocsin.api.notify.v1.DeliveryService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NEEDED = (Role.SUBSCRIBER, Role.ORCHESTRATOR)


async def told_through(
    notify_target: str, alert_target: str, orchestrator: ClientCredentials
) -> list[str]:
    """Raise an alert at one end, and return the states of its deliveries at the other."""
    async with (
        AlertClient(alert_target, credentials=orchestrator) as alerts,
        NotifyClient(notify_target) as notify,
    ):
        await notify.create_channel(
            channel_pb2.Channel(
                display_name="console", enabled=True, console=channel_pb2.ConsoleConfig()
            )
        )
        raised = await alerts.raise_or_touch("web-1", "check_failed")
        alert_id = raised.alert.alert_id

        async def delivered() -> list[str]:
            found = notify.list_deliveries(alert_id=alert_id, states=["delivered"])
            return [each.delivery_id async for each in found]

        return await eventually(delivered)


async def test_notify_follows_with_a_token_of_the_alert_service(
    alert_url: str, notify_url: str, tmp_path: Path
) -> None:
    credentials = Credentials(alert_url)
    token = await credentials.token(*NEEDED, name="tocsin-notify")
    reporter = ClientCredentials(token=await credentials.token(Role.ORCHESTRATOR))
    (tmp_path / "token").write_text(token)
    watching = ClientCredentials(token=token)
    async with (
        running_alert(alert_url, insecure_dev=False, credentials=watching) as alert,
        running_notify(notify_url, alert.target, alert_token_file=tmp_path / "token") as notify,
    ):
        assert await told_through(f"127.0.0.1:{notify.port}", alert.target, reporter)


async def test_notify_follows_with_a_certificate(
    alert_url: str, notify_url: str, tmp_path: Path
) -> None:
    pems = Pems(tmp_path)
    credentials = Credentials(alert_url)
    await credentials.certificate("dns:notify.example.org", *NEEDED)
    await credentials.certificate("dns:web-1.example.org", Role.ORCHESTRATOR, hosts=["web-1"])
    shown = pems.client("notify.example.org")
    agent = pems.client("web-1.example.org")
    async with (
        running_alert(
            alert_url, insecure_dev=False, credentials=shown, **pems.server(clients=True)
        ) as alert,
        running_notify(
            notify_url,
            alert.target,
            alert_ca_file=shown.ca_file,
            alert_certificate_file=shown.certificate_file,
            alert_key_file=shown.key_file,
        ) as notify,
    ):
        assert await told_through(f"127.0.0.1:{notify.port}", alert.target, agent)


async def test_notify_goes_on_by_itself_once_its_file_holds_a_token_that_is_known(
    alert_url: str, notify_url: str, tmp_path: Path
) -> None:
    token = await Credentials(alert_url).token(*NEEDED, name="tocsin-notify")
    path = tmp_path / "token"
    path.write_text("tocsin_" + "A" * 43)
    watching = ClientCredentials(token=token)
    async with (
        running_alert(alert_url, insecure_dev=False, credentials=watching) as alert,
        unready_notify(notify_url, alert.target, alert_token_file=path) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)

        async def is_serving() -> bool:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=STREAM))
            return bool(answer.status == SERVING)

        assert not await is_serving()
        path.write_text(token + "\n")
        await eventually(is_serving, within=60)


async def test_without_a_credential_notify_is_not_ready_and_does_not_end(
    alert_url: str, notify_url: str
) -> None:
    token = await Credentials(alert_url).token(Role.ADMIN)
    async with (
        running_alert(
            alert_url, insecure_dev=False, credentials=ClientCredentials(token=token)
        ) as alert,
        unready_notify(notify_url, alert.target) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        for _ in range(3):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=STREAM))
            assert SERVING != answer.status


@asynccontextmanager
async def unready_notify(
    url: str, alert_target: str, **settings: Any
) -> AsyncIterator[grpc.aio.Channel]:
    app = NotifyApp(notify_settings(url, alert_target, **settings))
    await app.start()
    try:
        async with open_channel(f"127.0.0.1:{app.port}") as channel:
            yield channel
    finally:
        await app.stop()


def test_a_token_is_sent_to_no_other_machine_in_the_clear(notify_url: str) -> None:
    token = "tocsin_" + "A" * 43
    with pytest.raises(ValueError, match="not sent in the clear") as told:
        notify_settings(notify_url, "alert.example.org:7070", alert_token=token)

    assert token not in str(told.value)
    assert "TOCSIN_NOTIFY_ALERT_CA_FILE" in str(told.value)
    assert "TOCSIN_TLS_CA_FILE" not in str(told.value)


async def test_what_people_steer_is_in_the_trail_and_no_secret_is(notify_url: str) -> None:
    token = await Credentials(notify_url).token(Role.ADMIN, name="root")
    async with (
        running_notify(notify_url, NO_ALERT_SERVICE, insecure_dev=False) as notify,
        open_channel(f"127.0.0.1:{notify.port}", ClientCredentials(token=token)) as channel,
    ):
        done = await steer(channel)
        identity: Any = IdentityServiceStub(channel)
        trail = (await identity.ListAuditEntries(auth_pb.ListAuditEntriesRequest())).entries

    own = [entry for entry in trail if entry.actor == "root"]
    assert done == [(entry.method, entry.subject) for entry in reversed(own)]
    assert "hunter2" not in str(trail)


async def steer(channel: grpc.aio.Channel) -> list[tuple[str, str]]:
    """Change and send everything that there is; return what the trail should say."""
    channels: Any = ChannelServiceStub(channel)
    routes: Any = RouteServiceStub(channel)
    silences: Any = SilenceServiceStub(channel)
    channel_id = await steer_channels(channels)
    route_id = await steer_routes(routes, channel_id)
    matcher = matcher_pb2.Matcher(
        field=matcher_pb2.MATCH_FIELD_HOST_ID,
        operator=matcher_pb2.MATCH_OPERATOR_ANY_OF,
        values=["web-1"],
    )
    silence = silence_pb2.Silence(matchers=[matcher], reason="moving", author="Ann")
    silence.end_time.GetCurrentTime()
    silence.end_time.seconds += 3600
    kept = await silences.CreateSilence(silence_service_pb2.CreateSilenceRequest(silence=silence))
    silence_id = kept.silence.silence_id
    for _ in range(2):  # the second time changes nothing
        await silences.ExpireSilence(
            silence_service_pb2.ExpireSilenceRequest(silence_id=silence_id)
        )
    await routes.DeleteRoute(route_service_pb2.DeleteRouteRequest(route_id=route_id))
    await channels.DeleteChannel(channel_service_pb2.DeleteChannelRequest(channel_id=channel_id))
    return [
        ("ChannelService/CreateChannel", channel_id),
        ("ChannelService/UpdateChannel", channel_id),
        ("ChannelService/TestChannel", channel_id),
        ("RouteService/CreateRoute", route_id),
        ("RouteService/UpdateRoute", route_id),
        ("RouteService/ReorderRoutes", ""),
        ("SilenceService/CreateSilence", silence_id),
        ("SilenceService/ExpireSilence", silence_id),
        ("RouteService/DeleteRoute", route_id),
        ("ChannelService/DeleteChannel", channel_id),
    ]


async def steer_channels(channels: Any) -> str:
    email = channel_pb2.EmailConfig(
        smtp_host="mail.example.org",
        from_address="tocsin@example.org",
        to_addresses=["ops@example.org"],
        username="tocsin",
        password="hunter2",
        security=channel_pb2.EMAIL_SECURITY_STARTTLS,
    )
    wanted = channel_pb2.Channel(display_name="mail", enabled=True, email=email)
    made = await channels.CreateChannel(channel_service_pb2.CreateChannelRequest(channel=wanted))
    channel_id = str(made.channel.channel_id)
    change = channel_service_pb2.UpdateChannelRequest(
        channel=channel_pb2.Channel(channel_id=channel_id, enabled=False)
    )
    change.update_mask.paths.append("enabled")
    await channels.UpdateChannel(change)
    await channels.TestChannel(channel_service_pb2.TestChannelRequest(channel_id=channel_id))
    return channel_id


async def steer_routes(routes: Any, channel_id: str) -> str:
    route = route_pb2.Route(display_name="all", enabled=True, channel_ids=[channel_id])
    made = await routes.CreateRoute(route_service_pb2.CreateRouteRequest(route=route))
    changed = route_pb2.Route()
    changed.CopyFrom(made.route)
    changed.display_name = "everything"
    await routes.UpdateRoute(route_service_pb2.UpdateRouteRequest(route=changed))
    route_id = str(made.route.route_id)
    await routes.ReorderRoutes(route_service_pb2.ReorderRoutesRequest(route_ids=[route_id]))
    return route_id
