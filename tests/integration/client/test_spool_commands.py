"""`tocsin spool`, `tocsin job` and `tocsin heartbeat`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.backup_recorder import BackupRecorder, recording
from support.command import Command, Ended
from tocsin.api.alert.v1 import backup_pb2 as pb
from tocsin.client.backup_requests import report_job_finished, report_job_started
from tocsin.client.spool import Spool
from tocsin.common.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFUSED, USAGE, UNREACHABLE = 1, 2, 3
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "spool.db"
    monkeypatch.setenv("TOCSIN_SPOOL", str(path))
    monkeypatch.setenv("TOCSIN_HOST", "web-1")
    monkeypatch.setenv("TOCSIN_ALERT_TARGET", NOWHERE)
    return path


@pytest.fixture
def service(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackupRecorder]:
    with recording() as (recorder, target):
        monkeypatch.setenv("TOCSIN_ALERT_TARGET", target)
        yield recorder


@pytest.fixture
def two(path: Path) -> Path:
    """A spool with the start and the end of a job."""
    with Spool(path) as spool:
        spool.add(report_job_started("j-1", "web-1", "backup", source_group_id="home"))
        spool.add(report_job_finished("j-1", "web-1", "backup", "failed", exit_code=11))
    return path


def tocsin(*words: str) -> Ended:
    return Command().plain(*words)


def hastily(*words: str) -> Ended:
    """Run a command with little time for a service that is not there."""
    return tocsin(*words, "--timeout", "0.2")


def as_json(*words: str) -> Any:
    return json.loads(tocsin(*words, "--json").out)


def test_flush_sends_what_waits(service: BackupRecorder, two: Path) -> None:
    assert Ended(0, "Sent 2 reports; none left.\n", "") == tocsin("spool", "flush")
    assert ["j-1", "j-1"] == service.job_ids
    assert Ended(0, "Sent 0 reports; none left.\n", "") == tocsin("spool", "flush")


def test_flush_says_when_the_service_is_away(two: Path) -> None:
    ended = hastily("spool", "flush")
    assert (UNREACHABLE, "Sent 0 reports; 2 left.\n") == (ended.code, ended.out)
    assert f"Nothing answers at {NOWHERE}" in ended.err


def test_flush_says_what_was_refused_and_sends_it_again_when_asked(
    service: BackupRecorder, two: Path
) -> None:
    service.refuse = lambda report: InvalidArgumentError("no") if report in service.ends else None
    ended = tocsin("spool", "flush")
    assert (REFUSED, "Sent 1 report; none left.\n") == (ended.code, ended.out)
    assert "Refused and set aside: j-1 of web-1: no" in ended.err
    service.refuse = lambda _: None
    assert {"sent": 0, "left": 0, "refused": []} == as_json("spool", "flush")
    assert {"sent": 1, "left": 0, "refused": []} == as_json("spool", "flush", "--again")


def test_flush_leaves_it_to_who_is_sending_already(service: BackupRecorder, two: Path) -> None:
    with Spool(two).sending(0):
        ended = hastily("spool", "flush")
    assert (UNREACHABLE, "Another process is sending.\n") == (ended.code, ended.err)


def test_list_shows_what_waits_and_what_was_set_aside(two: Path) -> None:
    with Spool(two) as spool:
        spool.put_aside(spool.waiting()[0].number, "no such kind")
    lines = tocsin("spool", "list").out.splitlines()
    assert ["TAKEN", "HOST", "JOB", "NEWS", "ID", "STATE"] == lines[0].split()
    assert ["web-1", "backup", "failed", "j-1", "waits"] == lines[1].split()[-5:]
    assert lines[2].endswith("started  j-1  set aside: no such kind")
    assert f"1 report waiting, 1 set aside, 0 dropped so far, in {two}" == lines[3]


def test_list_tells_programs_everything(two: Path) -> None:
    told = as_json("spool", "list")
    assert (2, 0, 0) == (told["waiting"], told["set_aside"], told["dropped"])
    assert "home" == told["reports"][0]["job_started"]["source_group_id"]
    assert 11 == told["reports"][1]["job_finished"]["exit_code"]


def test_a_spool_that_cannot_be_used_is_told_with_what_to_do(path: Path) -> None:
    path.mkdir()
    for words in (("list",), ("flush",)):
        ended = tocsin("spool", *words)
        assert REFUSED == ended.code
        assert str(path) in ended.err
        assert "--spool or TOCSIN_SPOOL" in ended.err


def test_a_job_is_reported_from_a_script(service: BackupRecorder) -> None:
    began = datetime(2026, 1, 31, 3, tzinfo=UTC)
    job_id = tocsin("job", "start", "-g", "home", "--schedule", "nightly").out.strip()
    words = ["--result", "failed", "--exit-code", "11", "--error", "is locked", "-g", "home"]
    finished = tocsin("job", "finish", "--job-id", job_id, *words, "--start-time", str(began))
    assert Ended(0, f"{job_id}\n", "") == finished
    (started,), (ended,) = service.starts, service.ends
    assert (job_id, "web-1", "nightly") == (started.job_id, started.host_id, started.schedule_id)
    assert (job_id, "home", 11) == (ended.job_id, ended.source_group_id, ended.exit_code)
    assert (pb.JOB_RESULT_FAILED, "is locked") == (ended.result, ended.error_text)
    assert began == ended.start_time.ToDatetime(tzinfo=UTC)


def test_a_job_of_a_repository_is_reported_from_a_script(service: BackupRecorder) -> None:
    words = ("--job", "check", "--repository", "nas", "--result", "succeeded")
    told = as_json("job", "finish", *words)
    (ended,) = service.ends
    assert ended.job_id == told["job_id"]
    assert (pb.JOB_KIND_CHECK, "nas") == (ended.kind, ended.repository_id)
    assert not ended.HasField("exit_code")


@pytest.mark.parametrize(
    ("code", "kind", "result"),
    [
        ("0", "backup", pb.JOB_RESULT_SUCCEEDED),
        ("3", "backup", pb.JOB_RESULT_INCOMPLETE),
        ("3", "forget", pb.JOB_RESULT_FAILED),
        ("-1", "backup", pb.JOB_RESULT_FAILED),
    ],
)
def test_the_exit_code_of_restic_is_enough(
    service: BackupRecorder, code: str, kind: str, result: int
) -> None:
    tocsin("job", "finish", "--job", kind, "--exit-code", code)
    assert [(result, int(code))] == [(ended.result, ended.exit_code) for ended in service.ends]


def test_a_job_that_cannot_be_reported_now_is_kept(path: Path) -> None:
    ended = hastily("job", "finish", "-g", "home", "--result", "succeeded")
    assert 0 == ended.code
    assert f"1 report left in {path}, to be sent later: " in ended.err
    with Spool(path) as spool:
        assert [ended.out.strip()] == [each.report.job_id for each in spool.waiting()]


@pytest.mark.parametrize(
    "words",
    [
        ("job", "finish", "--result", "broken"),
        ("job", "finish"),
        ("job", "start", "--job", "check", "-g", "home"),
        ("job", "finish", "--result", "failed", "--exit-code", "256"),
        ("job", "finish", "--result", "failed", "--start-time", "yesterday"),
    ],
)
def test_what_is_written_wrong_is_not_kept(path: Path, words: tuple[str, ...]) -> None:
    assert USAGE == tocsin(*words).code
    assert not path.exists()


def test_a_heartbeat_says_that_the_host_lives(service: BackupRecorder, path: Path) -> None:
    assert Ended(0, "", "") == tocsin("heartbeat")
    (beat,) = service.reports
    assert "web-1" == beat.host_id
    assert beat.HasField("send_time")
    assert not path.exists()


def test_a_heartbeat_takes_along_what_waits(service: BackupRecorder, two: Path) -> None:
    assert 0 == tocsin("heartbeat").code
    assert ["j-1", "j-1"] == [report.job_id for report in service.reports[1:]]


def test_a_heartbeat_that_nobody_hears_fails(two: Path) -> None:
    assert UNREACHABLE == hastily("heartbeat").code
