"""What both services show of themselves, by what happens in them."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import grpc
import pytest
import structlog

from support.alert import alert_settings, running_alert
from support.receiver import Answer
from support.telemetry import SHOWN, WEBHOOK, Metrics, metrics, page, running_site
from support.waiting import eventually
from tocsin.alert.app import AlertApp
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_WARNING
from tocsin.common.rpc.listening import ListenError

if TYPE_CHECKING:
    from support.telemetry import Site

pytestmark = pytest.mark.postgres

RAISE = "AlertService/RaiseOrTouch"


async def raised(site: Site, *keys: str) -> None:
    for key in keys:
        await site.client.raise_or_touch("web-1", "disk_full", key, severity="critical")


async def test_an_alert_is_seen_on_its_whole_way_to_the_webhook(
    alert_url: str, notify_url: str
) -> None:
    async with running_site(alert_url, notify_url) as site:
        await raised(site, "a", "b", "b")
        await site.receiver.wait_for(2)

        async def delivered() -> Metrics | None:
            seen = await metrics(site.notify)
            arrived = seen.value("tocsin_notify_delivery_latency_seconds_count")
            return seen if arrived == 2 else None

        told, alert = await eventually(delivered), await metrics(site.alert.app)

    assert told is not None
    assert 3 == alert.value("tocsin_alert_rpc_calls_total", method=RAISE, code="OK")
    assert 3 == alert.value("tocsin_alert_rpc_duration_seconds_count", method=RAISE)
    assert 3 == alert.value("tocsin_alert_lane_commands_total", command="RaiseOrTouch", result="OK")
    assert 3 == alert.value("tocsin_alert_lane_batch_commands_sum")
    assert 2 == alert.value("tocsin_alert_log_head_revision")
    assert 0 == alert.value("tocsin_alert_log_gaps_total")
    assert 1 == alert.value("tocsin_alert_subscribers")
    assert 2 == alert.value("tocsin_alert_open_alerts", severity="critical", status="open")
    assert 1 == alert.value("tocsin_alert_condition", condition="database")
    assert 0 < alert.value("tocsin_alert_loop_steps_total", loop="hosts")
    assert 0 == alert.value("tocsin_alert_flooded_hosts")
    for loop in ("hosts", "credentials", "eventlog-compaction", "eventlog-tail"):
        assert 0 < alert.value("tocsin_alert_loop_success_timestamp_seconds", loop=loop)
    for loop in ("credentials", "dispatcher", "retention", "flap-ends", "proofs"):
        assert 0 < told.value("tocsin_notify_loop_success_timestamp_seconds", loop=loop)

    assert 2 == told.value("tocsin_notify_follower_revision")
    assert 0 < told.value("tocsin_notify_follower_caught_up_timestamp_seconds")
    assert 2 == told.value(
        "tocsin_notify_delivery_attempts_total",
        channel_type="webhook",
        channel=WEBHOOK,
        outcome="delivered",
    )
    assert 1 == told.value("tocsin_notify_channel_breaker", channel=WEBHOOK, state="closed")


async def test_what_fails_is_seen_too(alert_url: str, notify_url: str) -> None:
    async with running_site(alert_url, notify_url) as site:
        site.receiver.always = Answer(status=400)
        await raised(site, "a")
        with pytest.raises(grpc.aio.AioRpcError):
            await site.alert.alerts.GetAlert(pb.GetAlertRequest(alert_id="none"))

        async def dead() -> bool:
            seen = await metrics(site.notify)
            return seen.value("tocsin_notify_dead_letters", channel=WEBHOOK) == 1

        await eventually(dead)
        told, alert = await metrics(site.notify), await metrics(site.alert.app)

    assert 1 == alert.value("tocsin_alert_rpc_calls_total", code="INVALID_ARGUMENT")
    assert 3 == told.value("tocsin_notify_delivery_attempts_total", outcome="refused")
    assert 0 == told.value("tocsin_notify_delivery_latency_seconds_count")


async def test_an_attempt_that_fails_is_logged_with_the_ids_of_all_that_it_is_about(
    alert_url: str, notify_url: str
) -> None:
    merged = [structlog.contextvars.merge_contextvars]
    with structlog.testing.capture_logs(processors=merged) as logs:
        async with running_site(alert_url, notify_url) as site:
            site.receiver.script(Answer(status=503))
            raised_alert = await site.client.raise_or_touch("web-1", "disk_full", severity="info")
            await site.receiver.wait_for(2)

    (line,) = [line for line in logs if line["event"] == "attempt_failed"]
    assert raised_alert.alert.alert_id == line["alert_id"]
    assert ("RETRY", 503, "warning") == (line["outcome"], line["status_code"], line["log_level"])
    assert {"delivery_id", "channel_id", "event_id"} <= line.keys()


async def test_every_kind_of_call_is_counted_under_its_end(alert_url: str) -> None:
    async with running_alert(alert_url, metrics_listen=SHOWN) as alert:
        stream = alert.alerts.WatchEvents(pb.WatchEventsRequest())
        await stream.read()
        stream.cancel()

        async def cancelled() -> bool:
            seen = await metrics(alert.app)
            method = "AlertService/WatchEvents"
            return (
                seen.value("tocsin_alert_rpc_calls_total", method=method, code="CANCELLED") == 1
                and seen.value("tocsin_alert_subscribers") == 0
            )

        await eventually(cancelled)


async def test_several_services_in_one_process_have_metrics_of_their_own(
    alert_url: str,
) -> None:
    async with (
        running_alert(alert_url, metrics_listen=SHOWN) as one,
        running_alert(alert_url, metrics_listen=SHOWN) as other,
    ):
        await one.alerts.RaiseOrTouch(
            pb.RaiseOrTouchRequest(host_id="h", kind="k", severity=SEVERITY_WARNING)
        )
        first, second = await asyncio.gather(metrics(one.app), metrics(other.app))

    assert 1 == first.value("tocsin_alert_rpc_calls_total", method=RAISE)
    assert 0 == second.value("tocsin_alert_rpc_calls_total", method=RAISE)


async def test_without_an_address_nothing_is_shown(alert_url: str) -> None:
    async with running_alert(alert_url) as alert:
        assert 0 == alert.app.telemetry.port


async def test_an_address_that_is_taken_is_told_in_one_line(alert_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        app = AlertApp(alert_settings(alert_url, metrics_listen=listen))
        with pytest.raises(ListenError, match="address already in use"):
            await app.start()


async def test_workers_take_the_ports_that_follow(alert_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen = f"127.0.0.1:{port}"
        async with running_alert(alert_url, metrics_listen=listen, workers=2) as alert:
            assert port < alert.app.telemetry.port <= port + 63


async def test_readiness_is_told_to_probes(alert_url: str) -> None:
    async with running_alert(alert_url, metrics_listen=SHOWN) as alert:
        port = alert.app.telemetry.port
        assert (200, "alive\n") == await page(port, "/livez")
        assert (200, "ready\n") == await page(port, "/readyz")

        readiness = alert.app.telemetry.readiness
        assert readiness is not None
        readiness.set("ledger", holds=False)
        assert (503, "not ready: ledger\n") == await page(port, "/readyz")
        readiness.drain()
        assert 503 == (await page(port, "/readyz"))[0]
        assert (200, "alive\n") == await page(port, "/livez")


async def test_openmetrics_is_spoken_to_who_asks_for_it(alert_url: str) -> None:
    async with running_alert(alert_url, metrics_listen=SHOWN) as alert:
        accept = "application/openmetrics-text; version=1.0.0"
        status, text = await page(alert.app.telemetry.port, "/metrics", accept)

    assert 200 == status
    assert text.endswith("# EOF\n")
