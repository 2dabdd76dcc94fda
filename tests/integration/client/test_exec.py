"""`tocsin exec`: the run is as it would be without us, and what became of it is reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from support.backup_recorder import BackupRecorder, recording
from support.processes import free_port
from support.restic import recordings, replay
from tocsin.api.alert.v1 import backup_pb2 as pb
from tocsin.cli.main import run
from tocsin.client.spool import Spool
from tocsin.common.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.restic import Recorded

NOWHERE = "127.0.0.1:1"
USAGE = 2
PYTHON = sys.executable
WITHIN_SECONDS = 30
UNDISTURBED = [run for run in recordings() if run.name != "interrupted"]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The spool, which every command finds by the environment."""
    path = tmp_path / "spool.db"
    monkeypatch.setenv("TOCSIN_SPOOL", str(path))
    monkeypatch.setenv("TOCSIN_HOST", "web-1")
    return path


@pytest.fixture
def service(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackupRecorder]:
    with recording() as (recorder, target):
        monkeypatch.setenv("TOCSIN_ALERT_TARGET", target)
        yield recorder


@pytest.fixture
def no_service(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_ALERT_TARGET", NOWHERE)


def execute(*words: str, given: tuple[str, ...] = ("-g", "home")) -> int:
    return run(["exec", *given, "--timeout", "20", "--", *words])


def hastily(*words: str) -> int:
    """Execute with little time for a service that does not answer."""
    return run(["exec", "-g", "home", "--timeout", "0.3", "--", *words])


def spooled(path: Path) -> list[str]:
    with Spool(path) as spool:
        return [type(each.report).__name__ for each in spool.waiting()]


@contextmanager
def executing(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `tocsin exec` as a process of its own, without a terminal."""
    command = [PYTHON, "-m", "tocsin.cli", "exec", "-g", "home", "--timeout", "20", "--", *words]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_run_is_reported_at_its_start_and_its_end(
    service: BackupRecorder, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ("-g", "home", "--repository", "nas", "--schedule", "nightly")
    assert 0 == execute(PYTHON, "-c", "print('out')", given=given)
    (started,), (ended,) = service.starts, service.ends
    assert ("out\n", "") == capfd.readouterr()
    for report in (started, ended):
        assert ("web-1", "home") == (report.host_id, report.source_group_id)
        assert ("nas", "nightly") == (report.repository_id, report.schedule_id)
        assert pb.JOB_KIND_BACKUP == report.kind
    assert started.job_id == ended.job_id
    assert pb.JOB_RESULT_SUCCEEDED == ended.result
    assert ended.HasField("exit_code")
    assert [] == spooled(path)


def test_the_times_of_a_run_are_those_of_its_start_and_end(service: BackupRecorder) -> None:
    execute(PYTHON, "-c", "import time; time.sleep(0.2)")
    (ended,) = service.ends
    start, finish, sent = (
        stamp.ToDatetime(tzinfo=UTC)
        for stamp in (ended.start_time, ended.finish_time, ended.send_time)
    )
    assert finish - start >= timedelta(seconds=0.2)
    assert finish <= sent
    told = service.starts[0].start_time.ToDatetime(tzinfo=UTC)
    assert abs(start - told) < timedelta(seconds=1)


@pytest.mark.parametrize("code", [0, 1, 3, 42, 130, 255])
def test_the_exit_code_is_the_program_s(service: BackupRecorder, code: int) -> None:
    assert code == execute("sh", "-c", f"exit {code}")
    assert code == service.ends[0].exit_code


def test_a_program_that_a_signal_ended_gives_128_and_its_number(service: BackupRecorder) -> None:
    assert 128 + signal.SIGKILL == execute("sh", "-c", "kill -9 $$")
    assert 137 == service.ends[0].exit_code
    assert pb.JOB_RESULT_FAILED == service.ends[0].result


def test_a_program_that_is_not_there_has_failed(
    service: BackupRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    assert 127 == execute("no-such-program")
    (ended,) = service.ends
    assert "no-such-program: No such file or directory" == ended.error_text
    assert "tocsin: no-such-program: No such file or directory\n" == capfd.readouterr().err
    assert [] == service.starts


def test_a_program_that_may_not_run_has_failed(service: BackupRecorder, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    assert 126 == execute(str(tmp_path / "plain"))
    assert [126] == [ended.exit_code for ended in service.ends]


def test_options_after_the_program_are_the_program_s(
    service: BackupRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [PYTHON, "-c", "import sys; print(sys.argv[1:])", "--json", "-h", "--host", "--", "x"]
    assert 0 == run(["exec", "-g", "home", *words])
    assert 0 == run(["exec", "-g", "home", "--", *words])
    expected = "['--json', '-h', '--host', '--', 'x']\n"
    assert expected * 2 == capfd.readouterr().out


@pytest.mark.parametrize("recorded", UNDISTURBED, ids=lambda run: f"{run.version}-{run.name}")
def test_restic_is_passed_through_and_understood(
    service: BackupRecorder,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    recorded: Recorded,
) -> None:
    words = replay(recorded.version, recorded.name, tmp_path).words
    given = ("--job", recorded.kind, "--repository", "nas")
    assert recorded.exit_code == execute(*words, given=given)
    out, err = capfd.readouterr()
    assert [*recorded.stdout] == out.splitlines()
    assert [*recorded.stderr] == [line for line in err.splitlines() if "tocsin: " not in line]
    (ended,) = service.ends
    assert (recorded.exit_code, "nas") == (ended.exit_code, ended.repository_id)


def test_a_dry_run_is_neither_a_success_nor_a_failure(
    service: BackupRecorder, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    restic = tmp_path / "restic"
    restic.write_text("#!/bin/sh\nexit 0\n")
    restic.chmod(0o755)
    execute(str(restic), "prune", "-n")
    execute("nice", "-n", "1", str(restic), "prune")
    results = [ended.result for ended in service.ends]
    assert [pb.JOB_RESULT_CANCELLED, pb.JOB_RESULT_SUCCEEDED] == results
    assert "a dry run is reported as cancelled" in capfd.readouterr().err


def test_the_program_has_our_standard_input(service: BackupRecorder) -> None:
    with executing("cat") as process:
        out, _ = process.communicate(b"a password\n", WITHIN_SECONDS)
    assert b"a password\n" == out


def test_output_comes_at_once(service: BackupRecorder) -> None:
    code = "print('first', flush=True); input()"
    with executing(PYTHON, "-c", code) as process:
        assert b"first\n" == first_line(process)
        assert process.poll() is None
        process.communicate(b"\n", WITHIN_SECONDS)


@pytest.mark.parametrize("version", ["0.14.0", "0.18.1"])
def test_an_interrupt_reaches_restic_and_is_reported(
    service: BackupRecorder, tmp_path: Path, version: str
) -> None:
    with executing(*replay(version, "interrupted", tmp_path).words) as process:
        first_line(process)
        service.wait_for(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=WITHIN_SECONDS)
    assert 130 == process.returncode
    assert b"signal interrupt received" in err
    (ended,) = service.ends
    assert (pb.JOB_RESULT_FAILED, 130) == (ended.result, ended.exit_code)


def test_a_request_to_end_reaches_the_program(service: BackupRecorder) -> None:
    with executing("sh", "-c", "echo up; exec sleep 60") as process:
        first_line(process)
        process.terminate()
        process.communicate(timeout=WITHIN_SECONDS)
    assert 128 + signal.SIGTERM == process.returncode
    assert [143] == [ended.exit_code for ended in service.ends]


def test_killed_in_the_middle_only_the_start_is_known(service: BackupRecorder) -> None:
    with executing("sh", "-c", "echo up; read x") as process:
        first_line(process)
        service.wait_for(1)
        process.kill()
        process.communicate(timeout=WITHIN_SECONDS)
    assert (1, 0) == (len(service.starts), len(service.ends))


def test_without_the_service_the_reports_are_kept_and_the_next_run_brings_them(
    no_service: None, path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert 3 == hastily("sh", "-c", "exit 3")
    assert ["ReportJobStartedRequest", "ReportJobFinishedRequest"] == spooled(path)
    assert f"tocsin: reports wait in {path}, to be sent later: " in capfd.readouterr().err
    with recording() as (service, target):
        monkeypatch.setenv("TOCSIN_ALERT_TARGET", target)
        assert 0 == execute("true")
    first, second = service.job_ids[0], service.job_ids[2]
    assert [first, first, second, second] == service.job_ids
    assert [3, 0] == [ended.exit_code for ended in service.ends]
    assert [] == spooled(path)


def test_a_service_that_comes_back_while_the_program_ends_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("TOCSIN_ALERT_TARGET", f"127.0.0.1:{port}")
    with executing("true") as process:
        while not path.exists() or len(spooled(path)) < 2:
            time.sleep(0.02)  # files give no signal
        with recording(port=port) as (service, _):
            process.communicate(timeout=WITHIN_SECONDS)
    assert (1, 1) == (len(service.starts), len(service.ends))


def test_a_service_that_hangs_holds_up_the_end_for_the_given_time_only(
    service: BackupRecorder, path: Path
) -> None:
    service.hold_after = 1
    assert 5 == hastily("sh", "-c", "exit 5")
    assert ["ReportJobStartedRequest", "ReportJobFinishedRequest"] == spooled(path)


def test_a_signal_after_the_program_ends_the_waiting(service: BackupRecorder, path: Path) -> None:
    service.hold_after = 1
    with executing("sh", "-c", "exit 5") as process:
        service.wait_for(1)
        while len(spooled(path)) < 2:  # the end is there once the program has ended
            time.sleep(0.02)  # files give no signal
        process.terminate()
        assert 5 == process.wait(WITHIN_SECONDS)
    assert ["ReportJobStartedRequest", "ReportJobFinishedRequest"] == spooled(path)


def test_a_refused_report_is_told_and_set_aside(
    service: BackupRecorder, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    service.refuse = lambda _: InvalidArgumentError("source_group_id: lies on host db-1")
    assert 0 == execute("true")
    assert "a report was refused and set aside" in capfd.readouterr().err
    with Spool(path) as spool:
        assert "lies on host db-1" in str(spool.set_aside()[0].reason)


def test_without_a_spool_reports_are_sent_all_the_same(
    service: BackupRecorder, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path.mkdir()
    assert 3 == execute("sh", "-c", "exit 3")
    assert [3] == [ended.exit_code for ended in service.ends]
    assert 1 == len(service.starts)
    assert f"tocsin: cannot keep reports: the spool {path}" in capfd.readouterr().err


def test_without_a_spool_and_a_service_it_is_told_that_reports_are_lost(
    no_service: None, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path.mkdir()
    assert 3 == hastily("sh", "-c", "exit 3")
    assert "reports of this run are lost" in capfd.readouterr().err


def test_nobody_to_read_our_words_changes_nothing(no_service: None) -> None:
    command = [PYTHON, "-m", "tocsin.cli", "exec", "--timeout", "0.3", "--", "sh", "-c", "exit 3"]
    reader, writer = os.pipe()
    os.close(reader)
    assert (
        3 == subprocess.run(command, stderr=writer, timeout=WITHIN_SECONDS, check=False).returncode
    )
    os.close(writer)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--job", "bakcup"), "Did you mean backup?"),
        (("--job", "check", "-g", "home"), "a check takes --repository"),
        (("--target", "nowhere"), "is not HOST:PORT"),
    ],
)
def test_what_is_written_wrong_is_told_before_anything_runs(
    path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], given: tuple[str, ...], told: str
) -> None:
    assert USAGE == run(["exec", *given, "--", "touch", str(tmp_path / "ran")])
    assert told in capfd.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_a_host_must_be_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOCSIN_HOST")
    assert USAGE == run(["exec", "--", "true"])
