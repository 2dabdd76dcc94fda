"""The service as a whole: its start, its end, and what it says when it cannot run."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.alert import alert_settings, running_alert
from support.health import ready
from tocsin.alert.app import AlertApp
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.common.postgres.reachable import UnreachableError
from tocsin.common.postgres.revisions import MigrationError
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.listening import ListenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

pytestmark = pytest.mark.postgres

SERVICES = ["", "tocsin.api.alert.v1.AlertService", "tocsin.api.alert.v1.BackupService"]
NOWHERE = "postgresql://tocsin:hunter2@127.0.0.1:1/tocsin_alert"


async def run(url: str, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run `python -m tocsin.alert` to its end."""
    process = await begin(url, *arguments, **settings)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def begin(url: str, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
    given = {"DATABASE_URL": url, "LISTEN": "127.0.0.1:0", "INSECURE_DEV": "true", **settings}
    environment = {f"TOCSIN_ALERT_{name}": value for name, value in given.items()}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.alert", *arguments),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def taken_port() -> AsyncIterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_each_service_is_serving_once_everything_runs(alert_url: str) -> None:
    async with running_alert(alert_url) as alert:
        health = health_pb2_grpc.HealthStub(alert.channel)
        for service in SERVICES:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert health_pb2.HealthCheckResponse.SERVING == answer.status


async def test_it_migrates_an_empty_database_at_the_start(empty_url: str) -> None:
    async with running_alert(empty_url, migrate_on_start=True) as alert:
        assert [] == list((await alert.alerts.ListAlerts(pb.ListAlertsRequest())).alerts)


async def test_it_refuses_a_schema_that_is_not_up_to_date_when_it_may_not_migrate(
    empty_url: str,
) -> None:
    app = AlertApp(alert_settings(empty_url, migrate_on_start=False))

    with pytest.raises(MigrationError, match=r"is at revision \(none\)"):
        await app.start()


async def test_it_stops_and_starts_again(alert_url: str) -> None:
    app = AlertApp(alert_settings(alert_url))
    for host in ("nas", "web"):
        await app.start()
        async with open_channel(f"127.0.0.1:{app.port}") as channel:
            await ready(channel)
            await raise_and_hear_of_it(AlertServiceStub(channel), host)
        await app.stop()
    await app.stop()


async def raise_and_hear_of_it(alerts: AlertServiceAsyncStub, host: str) -> None:
    watch = alerts.WatchEvents(pb.WatchEventsRequest())
    await watch.read()
    raised = await alerts.RaiseOrTouch(pb.RaiseOrTouchRequest(host_id=host, kind="k"))
    async with asyncio.timeout(30):
        heard: Any = await watch.read()
    assert [raised.alert] == [event.alert for event in heard.events]


async def test_two_services_on_one_database_see_each_others_events(alert_url: str) -> None:
    async with running_alert(alert_url) as one, running_alert(alert_url) as other:
        watch = other.alerts.WatchEvents(pb.WatchEventsRequest())
        await watch.read()

        raised = await one.alerts.RaiseOrTouch(pb.RaiseOrTouchRequest(host_id="nas", kind="k"))
        async with asyncio.timeout(30):
            heard: Any = await watch.read()

        assert [raised.alert] == [event.alert for event in heard.events]
        watch.cancel()


async def test_a_start_that_fails_leaves_nothing_behind(alert_url: str, taken_port: int) -> None:
    app = AlertApp(alert_settings(alert_url, listen=f"127.0.0.1:{taken_port}"))

    with pytest.raises(ListenError):
        await app.start()

    connection = await asyncpg.connect(alert_url)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert 1 == await connection.fetchval(others)
    await connection.close()


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    app = AlertApp(alert_settings(NOWHERE, database_wait_seconds=0))

    with pytest.raises(UnreachableError) as caught:
        await app.start()

    assert (
        "PostgreSQL at 127.0.0.1:1 (database tocsin_alert) does not answer "
        "(the connection is refused) after 0 s."
    ) == str(caught.value)


async def test_the_command_serves_until_it_is_told_to_stop(alert_url: str) -> None:
    process = await begin(alert_url, "serve")
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b'"event": "serving"' not in await process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()

    assert 0 == process.returncode, err.decode()
    assert b"Traceback" not in err


async def test_a_taken_port_is_told_in_one_line(alert_url: str, taken_port: int) -> None:
    code, _, err = await run(alert_url, "serve", LISTEN=f"127.0.0.1:{taken_port}")

    assert 1 == code
    assert err.splitlines()[-1] == (
        f"tocsin-alert: Cannot listen on 127.0.0.1:{taken_port}: "
        f"the port is taken by another program."
    )
    assert "Traceback" not in err


async def test_a_database_that_is_away_is_told_in_one_line() -> None:
    code, _, err = await run(NOWHERE, "serve", DATABASE_WAIT_SECONDS="0")

    assert 1 == code
    assert (
        "tocsin-alert: PostgreSQL at 127.0.0.1:1 (database tocsin_alert) does not answer "
        "(the connection is refused) after 0 s.\n"
    ) == err


async def test_a_database_that_does_not_exist_is_told_at_once(alert_url: str) -> None:
    code, _, err = await run(f"{alert_url}_of_nobody", "serve", DATABASE_WAIT_SECONDS="60")

    assert 1 == code
    assert "has no database of that name" in err


async def test_bad_settings_are_told_all_at_once() -> None:
    code, _, err = await run("mysql://nope", "serve", LISTEN="7070", MAX_BATCH="0")

    assert 2 == code
    told = err.splitlines()
    assert ["DATABASE_URL", "LISTEN", "MAX_BATCH"] == sorted(
        line.split(":")[1].strip().removeprefix("TOCSIN_ALERT_") for line in told
    )
    assert "nope" not in err


async def test_the_command_alone_shows_its_help(alert_url: str) -> None:
    code, out, _ = await run(alert_url)

    assert 0 == code
    for command in ("serve", "migrate", "epoch", "settings"):
        assert command in out


async def test_the_command_migrates_and_shows_and_renews_the_epoch(empty_url: str) -> None:
    assert 0 == (await run(empty_url, "migrate"))[0]
    async with running_alert(empty_url):
        pass

    _, before, _ = await run(empty_url, "epoch", "show")
    _, renewed, _ = await run(empty_url, "epoch", "renew")
    _, after, _ = await run(empty_url, "epoch", "show")

    assert renewed.split()[1] == after.split()[1] != before.split()[1]
    assert "head 0" in after
