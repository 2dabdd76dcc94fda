"""restic under `tocsin exec`, against the service: each end gives the right alert.

restic is real where it is installed; else what a real one said is said again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.alert import RunningAlert, running_alert
from support.restic import RealRestic, Runnable, has_restic, replay
from tocsin.api.alert.v1 import alert_pb2, alert_service_pb2, backup_service_pb2
from tocsin.api.alert.v1.backup_pb2 import PROTECTION_STATUS_SAFE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Ready = Callable[[str], AbstractContextManager[Runnable]]

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

RECORDED = "0.14.0"
WARNING = alert_pb2.SEVERITY_WARNING
WITHIN_SECONDS = 60
# restic tells by its exit code since 0.17; what is installed may be older or newer.
CODES = {
    "success": {0},
    "failure": {1},
    "incomplete": {3},
    "one_source_missing": {0, 3},
    "source_missing": {1},
    "wrong_password": {1, 12},
    "no_repository": {1, 10},
    "locked": {1, 11},
    "interrupted": {1, 130},
    "dry_run": {0},
}
ALERTS = {
    "failure": ("backup_failed", WARNING, "other"),
    "incomplete": ("backup_incomplete", WARNING, "incomplete"),
    "one_source_missing": ("backup_incomplete", WARNING, "source_missing"),
    "source_missing": ("backup_failed", WARNING, "source_missing"),
    "wrong_password": ("backup_failed", WARNING, "wrong_password"),
    "no_repository": ("backup_failed", WARNING, "no_repository"),
    "locked": ("backup_failed", WARNING, "locked"),
    "interrupted": ("backup_failed", WARNING, "interrupted"),
}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    folder = tmp_path_factory.mktemp("restic")
    if has_restic():
        return RealRestic(folder).ready

    @contextmanager
    def recorded(name: str) -> Iterator[Runnable]:
        yield replay(RECORDED, name, folder)

    return recorded


@pytest.fixture
async def alert(alert_url: str) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url) as running:
        yield running


async def execute(run: Runnable, alert: RunningAlert, spool: Path) -> int:
    """Run it under `tocsin exec`, interrupted if it is to be, and return the exit code."""
    given = ["--host", "web-1", "-g", "home", "--repository", "nas", "--timeout", "30"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.cli", "exec", *given, "--", *run.words),
        cwd=run.folder,
        env={
            **os.environ,
            **run.environment,
            "TOCSIN_ALERT_TARGET": alert.target,
            "TOCSIN_SPOOL": str(spool),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    async with asyncio.timeout(WITHIN_SECONDS):
        if run.interrupt:
            assert process.stdout is not None
            await process.stdout.readline()
            process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert b"tocsin: reports wait" not in err
    assert process.returncode is not None
    return process.returncode


async def open_alerts(alert: RunningAlert) -> list[tuple[str, int, str]]:
    answer = await alert.alerts.ListAlerts(alert_service_pb2.ListAlertsRequest())
    return [(each.kind, each.severity, each.cause) for each in answer.alerts]


@pytest.mark.parametrize("name", CODES)
async def test_each_end_of_restic_gives_the_right_alert_cause_and_severity(
    ready: Ready, alert: RunningAlert, tmp_path: Path, name: str
) -> None:
    with ready(name) as run:
        code = await execute(run, alert, tmp_path / "spool.db")
    assert code in CODES[name]
    expected = [ALERTS[name]] if name in ALERTS else []
    assert expected == await open_alerts(alert)


async def test_a_backup_that_succeeds_again_heals_and_protects(
    ready: Ready, alert: RunningAlert, tmp_path: Path
) -> None:
    await alert.backups.PutSourceGroup(
        backup_service_pb2.PutSourceGroupRequest(source_group_id="home", host_id="web-1")
    )
    for name, standing in (("source_missing", 1), ("dry_run", 1), ("success", 0)):
        with ready(name) as run:
            await execute(run, alert, tmp_path / "spool.db")
        assert standing == len(await open_alerts(alert))
    answer = await alert.backups.GetProtection(backup_service_pb2.GetProtectionRequest())
    assert [PROTECTION_STATUS_SAFE] == [each.status for each in answer.protections]
