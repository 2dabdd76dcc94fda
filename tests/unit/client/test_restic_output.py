"""What restic prints becomes what is reported."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.restic import Recorded, recorded, recordings
from tocsin.api.alert.v1 import backup_pb2 as pb
from tocsin.client.restic import ResticOutput, job_finished

if TYPE_CHECKING:
    from tocsin.api.alert.v1.backup_service_pb2 import ReportJobFinishedRequest

RESULTS = {
    "success": pb.JOB_RESULT_SUCCEEDED,
    "unchanged": pb.JOB_RESULT_SUCCEEDED,
    "check": pb.JOB_RESULT_SUCCEEDED,
    "forget": pb.JOB_RESULT_SUCCEEDED,
    "prune": pb.JOB_RESULT_SUCCEEDED,
    "incomplete": pb.JOB_RESULT_INCOMPLETE,
    # Up to 0.18 the exit code is 0: that something is missing is for the summary to tell.
    "one_source_missing": pb.JOB_RESULT_SUCCEEDED,
    "dry_run": pb.JOB_RESULT_CANCELLED,
}
WORDS = {
    "incomplete": "Warning: at least one source file could not be read",
    "one_source_missing": "does not exist, skipping",
    "source_missing": "directories/files do not exist",
    "wrong_password": "Fatal: wrong password or no key found",
    "no_repository": "Is there a repository at the following location?",
    "locked": "repository is already locked exclusively by PID",
    "interrupted": "signal interrupt received, cleaning up",
    "damaged": "Fatal: repository contains errors",
}


def read(run: Recorded) -> ResticOutput:
    said = ResticOutput(run.kind)
    for line in run.stdout:
        said.stdout(line)
    for line in run.stderr:
        said.stderr(line)
    return said


def report(run: Recorded) -> ReportJobFinishedRequest:
    return job_finished(read(run), run.exit_code, "j-1", "web-1", run.kind)


every_run = pytest.mark.parametrize(
    "run", recordings(), ids=lambda run: f"{run.version}-{run.name}"
)


@every_run
def test_every_recorded_run_is_reported_as_it_ended(run: Recorded) -> None:
    told = report(run)
    assert RESULTS.get(run.name, pb.JOB_RESULT_FAILED) == told.result
    assert run.exit_code == told.exit_code


@every_run
def test_a_report_says_why_in_words_and_without_json(run: Recorded) -> None:
    told = report(run).error_text
    assert WORDS.get(run.name, "") in told
    assert "{" not in told
    assert "\x1b" not in told


@every_run
def test_a_report_counts_what_could_not_be_read(run: Recorded) -> None:
    expected = {"incomplete": 1, "one_source_missing": 1, "source_missing": 1}.get(run.name, 0)
    assert expected == report(run).summary.unreadable_count


def test_a_summary_is_taken_over_whole() -> None:
    run = recorded("0.18.1", "success")
    expected = pb.BackupSummary(
        files_new=2,
        files_changed=1,
        files_unmodified=7,
        dirs_changed=2,
        dirs_unmodified=3,
        data_added_bytes=61403,
        total_files_processed=10,
        total_bytes_processed=360000,
        snapshot_id="5d0f6c1e9a7b43d28e6f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f",
    )
    assert expected == report(run).summary


def test_a_skipped_snapshot_is_a_success_without_a_snapshot() -> None:
    assert "" == report(recorded("0.18.1", "unchanged")).summary.snapshot_id


def test_a_run_without_trouble_bears_no_words() -> None:
    said = read(recorded("0.18.1", "success"))
    said.stderr("using parent snapshot 63d0a7ea")
    assert "" == job_finished(said, 0, "j-1", "web-1", "backup").error_text


def test_the_errno_of_old_versions_is_told_in_words() -> None:
    said = ResticOutput()
    error = {"Op": "open", "Path": "/etc/shadow", "Err": 13}
    said.stderr(json.dumps({"message_type": "error", "error": error, "during": "archival"}))
    assert f"open /etc/shadow: {os.strerror(13).lower()}" == said.error_text


@pytest.mark.parametrize(
    "error", [{}, {"Err": {}}, {"Err": {"Err": {"Err": 5}}}, None, "text", [1], {"Err": 99999}]
)
def test_an_error_of_any_shape_is_counted(error: object) -> None:
    said = ResticOutput()
    told = {"message_type": "error", "error": error, "during": "archival", "item": "/home/a"}
    said.stderr(json.dumps(told))
    assert said.summary is not None
    assert 1 == said.summary.unreadable_count
    assert said.error_text.startswith("/home/a: ")


def test_an_item_that_cannot_be_scanned_is_not_counted_twice() -> None:
    said = ResticOutput()
    for during in ("scan", "archival"):
        told = {"message_type": "error", "error": {"message": "no"}, "during": during, "item": "a"}
        said.stderr(json.dumps(told))
    assert said.summary is not None
    assert 1 == said.summary.unreadable_count


def test_without_json_a_missing_source_is_found_in_the_words() -> None:
    said = ResticOutput()
    said.stderr("/srv/photos does not exist, skipping")
    told = job_finished(said, 0, "j-1", "web-1", "backup")
    assert 1 == told.summary.unreadable_count
    assert "/srv/photos does not exist, skipping" == told.error_text


@pytest.mark.parametrize(
    "line",
    [
        "Would add to the repository: 3 B   (3 B   stored)",
        "Would have removed the following snapshots:",
        "Would have made the following changes:",
    ],
)
def test_without_json_a_dry_run_is_found_in_the_words(line: str) -> None:
    said = ResticOutput("prune")
    said.stdout(line)
    assert "cancelled" == said.result(0)


def test_a_dry_run_that_fails_has_failed() -> None:
    assert "failed" == ResticOutput(is_dry_run=True).result(12)


def test_exit_code_3_is_incomplete_for_backups_only() -> None:
    assert "incomplete" == ResticOutput("backup").result(3)
    assert "failed" == ResticOutput("forget").result(3)


def test_the_summary_of_another_command_is_no_summary_of_a_backup() -> None:
    said = ResticOutput("check")
    said.stdout('{"message_type":"summary","num_errors":2}')
    assert said.summary is None


def test_counts_that_cannot_be_are_left_out() -> None:
    said = ResticOutput()
    told = {"files_new": -1, "files_changed": 2**70, "dirs_new": True, "data_added": "many"}
    said.stdout(json.dumps({"message_type": "summary", **told}))
    assert pb.BackupSummary(files_changed=2**63 - 1) == said.summary


@given(st.lists(st.one_of(st.text(), st.from_regex(r'\{"message_type":"[a-z_]+".*\}'))))
def test_unknown_lines_are_skipped(lines: list[str]) -> None:
    said = ResticOutput()
    for line in lines:
        said.stdout(line)
        said.stderr(line)
    said.stdout('{"message_type":"new_in_restic_9","files_new":3}')
    said.stdout("[" * 100_000)
    said.stdout('{"a":' * 100_000)
    assert "succeeded" == said.result(0) or said.result(0) == "cancelled"
    assert len(said.error_text.encode()) <= 15 << 10
    assert "\0" not in said.error_text


def test_a_report_bears_no_character_that_would_have_it_refused() -> None:
    said = ResticOutput()
    said.stdout(r'{"message_type":"summary","files_new":1,"snapshot_id":"a\u0000\ud800b"}')
    said.stderr(r'{"message_type":"exit_error","code":1,"message":"Fatal: \u0000\udfff \u0007"}')
    told = job_finished(said, 1, "j-1", "web-1", "backup")
    assert ("a?b", "Fatal: ? ") == (told.summary.snapshot_id, told.error_text)


def test_endless_errors_keep_their_first_and_their_last() -> None:
    said = ResticOutput()
    said.stderr("/srv/photos does not exist, skipping")
    for number in range(10_000):
        said.stderr(f"/srv/{number}: permission denied")
    said.stderr("Fatal: no space left on device")
    lines = said.error_text.splitlines()
    assert "/srv/photos does not exist, skipping" == lines[0]
    assert "Fatal: no space left on device" == lines[-1]
    assert any(line.endswith("lines left out]") for line in lines)
    assert 13 << 10 < len(said.error_text.encode()) <= 15 << 10


def test_a_line_without_an_end_is_cut() -> None:
    said = ResticOutput()
    said.stderr("é" * 1_000_000)
    assert said.error_text.endswith("é […]")
    assert len(said.error_text.encode()) < 3 << 10
