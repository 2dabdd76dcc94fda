"""How a report of a job is read: by the sender's clock, corrected, and known by its content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tocsin.alert.domain.job import JobKind, JobResult
from tocsin.alert.engine.wording import CUT_MARK, MESSAGE_BYTES, fit_output
from tocsin.alert.rpc.job_reports import fingerprint, read_finished, read_started
from tocsin.alert.rpc.lengths import span_text
from tocsin.api.alert.v1 import backup_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.common.rpc.caller import Peer
from tocsin.common.rpc.times import to_timestamp

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEER = Peer("orchestrator", "")
JOB: dict[str, Any] = {"job_id": "j-1", "host_id": "nas", "kind": backup_pb2.JOB_KIND_BACKUP}


def finished(**fields: Any) -> pb.ReportJobFinishedRequest:
    for name in ("start_time", "finish_time", "send_time"):
        if name in fields:
            fields[name] = to_timestamp(fields[name])
    return pb.ReportJobFinishedRequest(**{**JOB, "result": 1, **fields})


def times(**fields: Any) -> tuple[datetime | None, datetime]:
    read = read_finished(finished(**fields), PEER, NOW).finished
    return read.start_time, read.finish_time


def test_without_any_time_a_job_ended_when_its_report_came() -> None:
    assert (None, NOW) == times()


def test_without_its_own_time_a_job_ended_when_its_report_was_sent() -> None:
    assert (None, NOW - timedelta(seconds=9)) == times(send_time=NOW - timedelta(seconds=9))


@pytest.mark.parametrize("skew", [24 * HOUR, -HOUR, timedelta(seconds=31)])
def test_times_of_a_clock_that_is_off_are_moved_by_what_it_is_off(skew: timedelta) -> None:
    told = {"start_time": NOW - 2 * HOUR, "finish_time": NOW - HOUR, "send_time": NOW}
    assert (NOW - 2 * HOUR, NOW - HOUR) == times(**{k: v + skew for k, v in told.items()})


def test_an_end_in_the_future_is_taken_as_the_time_of_receipt_and_the_run_keeps_its_length() -> (
    None
):
    assert (NOW - HOUR, NOW) == times(start_time=NOW + HOUR, finish_time=NOW + 2 * HOUR)


def test_a_start_after_the_receipt_without_any_other_time_is_the_time_of_receipt() -> None:
    assert (NOW, NOW) == times(start_time=NOW + HOUR)


def test_a_start_is_read_as_an_end_is() -> None:
    request = pb.ReportJobStartedRequest(**JOB, send_time=to_timestamp(NOW + HOUR))
    read = read_started(request, PEER, NOW)
    assert (NOW, HOUR) == (read.started.start_time, read.reading.skew)


def test_what_was_counted_and_said_is_read_whole() -> None:
    summary = backup_pb2.BackupSummary(files_new=3, snapshot_id="ab12", unreadable_count=1)
    request = finished(
        source_group_id="home",
        repository_id="s3",
        schedule_id="nightly",
        result=backup_pb2.JOB_RESULT_INCOMPLETE,
        exit_code=0,
        error_text="x",
        summary=summary,
    )
    read = read_finished(request, PEER, NOW).finished
    assert (JobKind.BACKUP, "home", "s3", "nightly") == (
        read.job.kind,
        read.job.source_group_id,
        read.job.repository_id,
        read.job.schedule_id,
    )
    assert (JobResult.INCOMPLETE, 0, "x") == (read.result, read.exit_code, read.error_text)
    assert read.summary is not None
    assert (3, "ab12", 1) == (
        read.summary.files_new,
        read.summary.snapshot_id,
        read.summary.unreadable_count,
    )
    assert read_finished(finished(), PEER, NOW).finished.exit_code is None


def test_content_is_told_apart_without_its_times() -> None:
    first = finished(exit_code=0, finish_time=NOW)
    same = finished(exit_code=0, finish_time=NOW - HOUR, start_time=NOW - HOUR, send_time=NOW)
    assert fingerprint(first) == fingerprint(same)
    others = [finished(), finished(exit_code=0, error_text="x"), finished(exit_code=0, result=2)]
    assert 4 == len({fingerprint(each) for each in [first, *others]})


def test_of_a_long_output_beginning_and_end_are_kept() -> None:
    text = "opened repository\n" + "error: ж\n" * 9_000 + "Fatal: unable to save snapshot"
    kept = fit_output(text)
    assert MESSAGE_BYTES >= len(kept.encode()) > MESSAGE_BYTES - 8
    assert kept.startswith("opened repository\n")
    assert kept.endswith("Fatal: unable to save snapshot")
    assert CUT_MARK in kept
    assert "\ufffd" not in kept
    assert "short" == fit_output("short")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0"), (1, "1 second"), (90, "90 seconds"), (900, "15 minutes"), (86_400, "1 day")],
)
def test_a_length_of_time_is_told_in_its_largest_whole_unit(seconds: int, told: str) -> None:
    assert told == span_text(timedelta(seconds=seconds))
