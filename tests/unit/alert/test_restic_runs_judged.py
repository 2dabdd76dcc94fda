"""What restic of each version said, through the client's adapter to the verdict of the engine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.restic import Recorded, recordings
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.job import StreamState
from tocsin.alert.domain.observation import Failure
from tocsin.alert.engine.job_results import join, judge, observations
from tocsin.alert.rpc.job_reports import read_finished
from tocsin.client.restic import ResticOutput, job_finished
from tocsin.common.rpc.caller import Peer

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
# The kind, severity and cause of the alert that a run raises; the others raise none.
ALERTS = {
    "failure": ("backup_failed", WARNING, "other"),
    "incomplete": ("backup_incomplete", WARNING, "incomplete"),
    "one_source_missing": ("backup_incomplete", WARNING, "source_missing"),
    "source_missing": ("backup_failed", WARNING, "source_missing"),
    "wrong_password": ("backup_failed", WARNING, "wrong_password"),
    "no_repository": ("backup_failed", WARNING, "no_repository"),
    "locked": ("backup_failed", WARNING, "locked"),
    "interrupted": ("backup_failed", WARNING, "interrupted"),
    "damaged": ("check_failed", CRITICAL, "other"),
}


@pytest.mark.parametrize("run", recordings(), ids=lambda run: f"{run.version}-{run.name}")
def test_a_run_gives_the_right_alert_cause_and_severity(run: Recorded) -> None:
    said = ResticOutput(run.kind)
    for line in run.stdout:
        said.stdout(line)
    for line in run.stderr:
        said.stderr(line)
    request = job_finished(said, run.exit_code, "j-1", "web-1", run.kind, finish_time=NOON)
    finished = read_finished(request, Peer("tests", ""), NOON).finished
    judged = judge(finished)
    failures = [
        (observed.key.kind, observed.severity, observed.cause)
        for observed in observations(join(StreamState(), finished, judged), finished, judged)
        if isinstance(observed, Failure)
    ]
    expected = [ALERTS[run.name]] if run.name in ALERTS else []
    assert expected == failures
