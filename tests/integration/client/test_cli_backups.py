"""`tocsin host`, `group`, `schedule` and `protection` against the service, running."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from support.alert import alert_settings
from support.command import Command
from tocsin.alert.app import AlertApp
from tocsin.client import SyncBackupClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postgres import PostgresServer

pytestmark = pytest.mark.postgres

REFUSED, USAGE = 1, 2


@pytest.fixture(scope="module")
def tocsin(postgres_server: PostgresServer) -> Iterator[Command]:
    """The command, and the service in a thread of its own for it to call."""
    name = f"cli_backups_{uuid4().hex[:12]}"
    url = postgres_server.cluster.create_database(name)
    settings = alert_settings(url, migrate_on_start=True)
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    async def start() -> AlertApp:
        app = AlertApp(settings)
        await app.start()
        return app

    with capture_logs():  # the service would print them into what the command prints
        app = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
        yield Command(f"127.0.0.1:{app.port}")
        asyncio.run_coroutine_threadsafe(app.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()
    postgres_server.cluster.drop_database(name)


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    """A host of each test's own: they share the services."""
    return f"host-of-{request.node.name}"


@pytest.fixture
def group(tocsin: Command, host: str) -> str:
    """A source group on the host, with an objective."""
    name = f"group-on-{host}"
    tocsin.done("group", "put", name, "--host", host, "--objective", "26h", "--name", "Photos")
    return name


@pytest.fixture
def schedule(tocsin: Command, host: str, group: str) -> str:
    """A schedule of the source group."""
    name = f"schedule-of-{group}"
    words = ("--host", host, "--job", "backup", "--source-group", group, "--every", "6h")
    tocsin.done("schedule", "put", name, *words)
    return name


def test_a_host_is_put_whole_shown_and_listed(tocsin: Command, host: str) -> None:
    words = ("--name", "The NAS", "--offline-after", "20m", "--label", "room=2")
    told = tocsin.done("host", "put", host, *words)
    assert {"  profile        server", "  offline after  20m"} <= set(told.splitlines())
    assert "last heard     never" in told
    shown = tocsin.json("host", "show", host)["host"]
    assert ("The NAS", "HOST_PROFILE_SERVER", "1200s") == (
        shown["name"],
        shown["profile"],
        shown["offline_after"],
    )
    tocsin.done("host", "put", host, "--profile", "LAPTOP")
    (row,) = [line for line in tocsin.done("host", "list").splitlines() if line.startswith(host)]
    assert ["laptop", "watched", "never"] == row.split()[1:]


def test_what_is_retired_is_told_and_left_out_of_lists(
    tocsin: Command, host: str, group: str, schedule: str
) -> None:
    tocsin.done("host", "put", host)
    told = tocsin.done("host", "retire", host)
    undo = "Put it, its source groups and its schedules again to undo."
    means = "its backups raise no alerts any more"
    assert f"{host} is retired: {means}. Nothing stood for it. {undo}\n" == told
    for family, name in (("host", host), ("group", group), ("schedule", schedule)):
        assert name not in tocsin.done(family, "list")
        (row,) = [
            line for line in tocsin.done(family, "list", "-a").splitlines() if name in line.split()
        ]
        assert "retired" in row
    assert 0 == tocsin.json("group", "retire", group)["resolved_count"]


def test_retiring_tells_how_many_alerts_it_resolved(tocsin: Command, host: str, group: str) -> None:
    with SyncBackupClient(tocsin.alert) as backups:
        backups.report_job_finished(
            f"job of {host}", host, "backup", "failed", source_group_id=group
        )
    assert "Resolved 1 of its alerts." in tocsin.done("group", "retire", group)
    assert "resolved" in tocsin.done("list", "-a", "--host", host)


def test_a_schedule_tells_when_it_is_due_and_when_it_is_stale(
    tocsin: Command, host: str, group: str
) -> None:
    words = ("--host", host, "--job", "Backup", "--source-group", group, "--grace", "0")
    zone = ("--cron", "30 2 * * *", "--time-zone", "Europe/Berlin")
    told = tocsin.done("schedule", "put", f"nightly {host}", *words, *zone)
    assert "times         30 2 * * * Europe/Berlin" in told
    due, stale = (
        next(line.split("  ")[-1] for line in told.splitlines() if line.startswith(f"  {name}"))
        for name in ("next due", "stale from")
    )
    assert due == stale
    told = tocsin.done("schedule", "put", f"nightly {host}", *words, *zone, "--disabled")
    assert "disabled" in told
    assert "next due" not in told


def test_a_schedule_of_a_source_group_that_nobody_put_says_so(
    tocsin: Command, host: str, group: str
) -> None:
    words = ("schedule", "put", f"daily {host}", "--host", host, "--job", "backup", "--every", "1d")
    unknown = tocsin.done(*words, "--source-group", f"{group}s")
    known = tocsin.done(*words, "--source-group", group)

    assert f"No source group is called {group}s yet" in unknown
    assert "No source group" not in known


def test_protection_tells_what_is_safe_and_what_stands(
    tocsin: Command, host: str, group: str, schedule: str
) -> None:
    before = tocsin.done("protection", "--host", host)
    with SyncBackupClient(tocsin.alert) as backups:
        good = datetime.now(UTC) - timedelta(hours=3)
        backups.report_job_finished(
            *(f"good on {host}", host, "backup", "succeeded"),
            source_group_id=group,
            schedule_id=schedule,
            finish_time=good,
        )
        safe = tocsin.done("protection", "--host", host)
        backups.report_job_finished(
            f"bad on {host}", host, "backup", "failed", source_group_id=group
        )
    risky = tocsin.done("protection", "--host", host)
    heading, row, total = safe.splitlines()
    assert heading.split()[:2] == ["STATUS", "GROUP"]
    assert row.split() == ["safe", "Photos", host, "3h", "ago", "1d2h", "in", "6h"], (
        "runs due before it was put are not asked for"
    )
    assert total == "Safe: 1 of 1 source groups."
    assert before.splitlines()[1].startswith("unprotected  Photos")
    assert risky.splitlines()[1].startswith("at risk  Photos")
    assert risky.splitlines()[1].endswith("backup_failed")
    assert (
        "PROTECTION_STATUS_AT_RISK"
        == tocsin.json("protection", "--host", host)["protections"][0]["status"]
    )


def test_protection_of_a_host_without_source_groups_says_so(tocsin: Command) -> None:
    told = tocsin.done("protection", "--host", "nobody")
    assert "No source groups of nobody are watched. Write one with `tocsin group put`.\n" == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("host put h --offline-after 5m", "--offline-after: is 5 minutes; write 15 minutes to"),
        ("host put h --profile laptop --offline-after 1h", "--offline-after: is only for servers"),
        ("group put g --host h --objective 0", "--objective: is 0; write 1 minute to 366 days"),
        (f"group put {'g' * 257} --host h", "GROUP: has 257 characters"),
        (f"group put g --host {'h' * 257}", "--host: has 257 characters"),
        (
            "schedule put s --host h --job prune --source-group g --every 1d",
            "--source-group: is only",
        ),
        ("schedule put s --host h --job backup --repository r --every 1d", "--repository: is not"),
        ("schedule put s --host h --job backup --every 30s", "--every: is 30 seconds; write 1 min"),
        ("schedule put s --host h --job backup --cron 0_0_30_2_*", '--cron: "0 0 30 2 *" never'),
        (
            "schedule put s --host h --job backup --cron 0_3_*_*_* --time-zone Europe/Berlim",
            '--time-zone: "Europe/Berlim" is not a time zone of the IANA database. Did you mean',
        ),
    ],
)
def test_a_value_that_the_server_refuses_is_named_as_it_is_written(
    tocsin: Command, words: str, told: str
) -> None:
    ended = tocsin(*(word.replace("_", " ") for word in words.split()))
    assert (USAGE, "") == (ended.code, ended.out)
    assert ended.err.startswith(told)


@pytest.mark.parametrize("family", ["host", "group", "schedule"])
@pytest.mark.parametrize("verb", ["show", "retire"])
def test_what_was_never_put_ends_with_1(tocsin: Command, family: str, verb: str) -> None:
    ended = tocsin(family, verb, "nobody")
    assert (REFUSED, "") == (ended.code, ended.out)
    assert "'nobody'" in ended.err


def test_a_source_group_on_another_host_is_refused_by_its_name(
    tocsin: Command, host: str, group: str
) -> None:
    ended = tocsin("group", "put", group, "--host", "elsewhere")
    assert USAGE == ended.code
    assert ended.err.startswith("--host: cannot be changed")
    assert host in ended.err
