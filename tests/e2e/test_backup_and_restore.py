"""docs/operators.md: its lines to back up and restore, typed as they stand."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from support.alert import running_alert
from support.notify import NO_ALERT_SERVICE, running_notify
from support.pages import blocks, section
from support.repository import ROOT
from tocsin.api.alert.v1.alert_service_pb2 import ListAlertsRequest, RaiseOrTouchRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.alert import RunningAlert
    from tocsin.common.postgres.embedded import Binaries, Cluster

PROGRAMS = ("pg_dump", "pg_restore", "createdb", "dropdb")
BACK_UP, RESTORE = (
    [typed.line for typed in block.typed]
    for block in blocks(
        section((ROOT / "docs" / "operators.md").read_text(), "Back up and restore")
    )
)
ELSEWHERE = "/somewhere/else/"

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def place(own_cluster: Cluster, postgres_binaries: Binaries, tmp_path: Path) -> dict[str, str]:
    """What the reader's shell has set: where PostgreSQL and its programs are, and the URLs."""
    programs = str(postgres_binaries.folder)
    if not all(shutil.which(each, path=programs) for each in PROGRAMS):
        pytest.skip("this PostgreSQL came without pg_dump and the like")
    (tmp_path / "key").write_text("a key")
    (tmp_path / "elsewhere").mkdir()
    password = own_cluster.url().partition("tocsin:")[2].partition("@")[0]
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(own_cluster.port),
        "PGUSER": "tocsin",
        "PGPASSWORD": password,
        "TOCSIN_ALERT_DATABASE_URL": own_cluster.create_database("tocsin_alert"),
        "TOCSIN_NOTIFY_DATABASE_URL": own_cluster.create_database("tocsin_notify"),
        "TOCSIN_NOTIFY_SECRET_KEY_FILE": str(tmp_path / "key"),
    }


async def test_what_was_backed_up_is_restored_and_the_log_gets_a_new_epoch(
    place: dict[str, str], tmp_path: Path
) -> None:
    url = place["TOCSIN_ALERT_DATABASE_URL"]
    notify_url = place["TOCSIN_NOTIFY_DATABASE_URL"]
    async with (
        running_alert(url, migrate_on_start=True) as alert,
        running_notify(notify_url, NO_ALERT_SERVICE, migrate_on_start=True),
    ):
        await raise_on(alert, "kept")
        for line in BACK_UP:
            await typed(line.replace(ELSEWHERE, f"{tmp_path}/elsewhere/"), place, tmp_path)
        await raise_on(alert, "lost")
        _, before = await open_on(alert)
    for line in RESTORE:
        for each in (line, line.replace("alert", "notify").replace("ALERT", "NOTIFY")):
            await typed(each, place, tmp_path)

    async with running_alert(url) as alert, running_notify(notify_url, NO_ALERT_SERVICE):
        hosts, epoch = await open_on(alert)
        assert ["kept"] == hosts
        assert before != epoch
    assert (tmp_path / "elsewhere" / "key").exists()


async def typed(line: str, place: Mapping[str, str], folder: Path) -> None:
    """Run a line in a shell; it has to succeed and say nothing."""
    shell = await asyncio.create_subprocess_shell(
        line,
        cwd=folder,
        env=dict(place),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await shell.communicate()
    assert (0, "") == (shell.returncode, told.decode()), line


async def raise_on(alert: RunningAlert, host: str) -> None:
    await alert.alerts.RaiseOrTouch(RaiseOrTouchRequest(host_id=host, kind="check_failed"))


async def open_on(alert: RunningAlert) -> tuple[list[str], str]:
    """Return the hosts with open alerts, and the epoch of the log."""
    listed = await alert.alerts.ListAlerts(ListAlertsRequest())
    return [each.host_id for each in listed.alerts], listed.position.epoch
