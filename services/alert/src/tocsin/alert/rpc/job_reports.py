"""Reports of jobs and hosts: from the request to the ledger's command, or its refusal."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING

from tocsin.alert.domain.job import (
    Job,
    JobFinished,
    JobKind,
    JobResult,
    JobStarted,
    Summary,
)
from tocsin.alert.engine.skew import read_clock
from tocsin.alert.engine.spans import spell_span
from tocsin.alert.engine.wording import fit_output
from tocsin.alert.ledger.backup_commands import FinishJob, Hear, StartJob
from tocsin.alert.rpc.observations import caller_of, reporter_of
from tocsin.alert.rpc.puts import check_id, check_source_group, read_job_kind
from tocsin.api.alert.v1 import backup_pb2
from tocsin.common.errors import Violations
from tocsin.common.identity.roles import require_host
from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import ID_CHARACTERS, check_characters, check_text, read_choice

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.api.alert.v1 import backup_service_pb2 as pb
    from tocsin.common.rpc.caller import Peer

    JobReport = pb.ReportJobStartedRequest | pb.ReportJobFinishedRequest
    Sent = JobReport | pb.ReportHeartbeatRequest

FURTHEST_EXIT_CODE = 255

_RESULT_NAMES: dict[int, str] = {
    number: name for name, number in backup_pb2.JobResult.items() if number
}


def read_started(request: pb.ReportJobStartedRequest, peer: Peer, received: datetime) -> StartJob:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    require_host(peer, request.host_id)
    found = Violations()
    job = _read_job(found, request)
    start_time = _read_time(found, request, "start_time")
    send_time = _read_time(found, request, "send_time")
    found.raise_if_any()
    reading = read_clock(send_time, received)
    began = reading.corrected(start_time or send_time or received)
    return StartJob(JobStarted(job, began), reading, reporter_of(peer))


def read_finished(
    request: pb.ReportJobFinishedRequest, peer: Peer, received: datetime
) -> FinishJob:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    require_host(peer, request.host_id)
    found = Violations()
    job = _read_job(found, request)
    result = _read_result(found, request.result, job.kind)
    exit_code = _read_exit_code(found, request)
    check_characters(found, "error_text", request.error_text)
    summary = _read_summary(found, request, job.kind)
    start_time = _read_time(found, request, "start_time")
    finish_time = _read_time(found, request, "finish_time")
    send_time = _read_time(found, request, "send_time")
    _check_order(found, start_time, finish_time, send_time)
    found.raise_if_any()
    reading = read_clock(send_time, received)
    ended = finish_time or send_time or received
    began = None if start_time is None else min(start_time, ended)
    start, finish = reading.corrected_run(began, ended)
    finished = JobFinished(
        job=job,
        result=result,
        finish_time=finish,
        start_time=start,
        exit_code=exit_code,
        error_text=fit_output(request.error_text),
        summary=summary,
    )
    return FinishJob(finished, reading, reporter_of(peer), fingerprint(request))


def read_heartbeat(request: pb.ReportHeartbeatRequest, peer: Peer, received: datetime) -> Hear:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    require_host(peer, request.host_id)
    found = Violations()
    check_id(found, "host_id", request.host_id)
    send_time = _read_time(found, request, "send_time")
    found.raise_if_any()
    return Hear(request.host_id, read_clock(send_time, received), caller_of(peer))


def fingerprint(request: pb.ReportJobFinishedRequest) -> bytes:
    """Return a digest of what a report says, its times left out: they may be told anew."""
    content = type(request)()
    content.CopyFrom(request)
    content.ClearField("start_time")
    content.ClearField("finish_time")
    content.ClearField("send_time")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def _read_job(found: Violations, request: JobReport) -> Job:
    check_id(found, "job_id", request.job_id)
    check_id(found, "host_id", request.host_id)
    kind = read_job_kind(found, "kind", request.kind)
    check_source_group(found, request.source_group_id, kind)
    check_text(found, "repository_id", request.repository_id, most=ID_CHARACTERS)
    check_text(found, "schedule_id", request.schedule_id, most=ID_CHARACTERS)
    return Job(
        request.job_id,
        request.host_id,
        kind,
        request.source_group_id,
        request.repository_id,
        request.schedule_id,
    )


def _read_result(found: Violations, number: int, kind: JobKind) -> JobResult:
    result = JobResult(read_choice(found, "result", number, _RESULT_NAMES) or JobResult.SUCCEEDED)
    if result is JobResult.INCOMPLETE and kind is not JobKind.BACKUP:
        found.add(
            "result",
            "is JOB_RESULT_INCOMPLETE, which is only for backups; write "
            "JOB_RESULT_SUCCEEDED or JOB_RESULT_FAILED",
        )
    return result


def _read_exit_code(found: Violations, request: pb.ReportJobFinishedRequest) -> int | None:
    if not request.HasField("exit_code"):
        return None
    if abs(request.exit_code) > FURTHEST_EXIT_CODE:
        found.add("exit_code", f"is {request.exit_code}; write -255 to 255, or leave it unset")
    return request.exit_code


def _read_summary(
    found: Violations, request: pb.ReportJobFinishedRequest, kind: JobKind
) -> Summary | None:
    if not request.HasField("summary"):
        return None
    if kind is not JobKind.BACKUP:
        found.add("summary", "is only for backups; leave it unset")
    given = request.summary
    check_text(found, "summary.snapshot_id", given.snapshot_id, most=ID_CHARACTERS)
    counts = {each.name: getattr(given, each.name) for each in fields(Summary)}
    for name, count in counts.items():
        if name != "snapshot_id" and count < 0:
            found.add(f"summary.{name}", f"is {count}; write 0 or more")
    return Summary(**counts)


def _read_time(found: Violations, request: Sent, name: str) -> datetime | None:
    if not request.HasField(name):  # type: ignore[arg-type]  # a name of each kind of request
        return None
    return read_timestamp(found, name, getattr(request, name))


def _check_order(
    found: Violations,
    start_time: datetime | None,
    finish_time: datetime | None,
    send_time: datetime | None,
) -> None:
    """Note a run that ended before it began, by the sender's own clock."""
    if start_time is None:
        return
    if finish_time is not None and finish_time < start_time:
        found.add(
            "finish_time",
            f"is before start_time, by {spell_span(start_time - finish_time)}; write when the "
            "job ended, by the clock that gave start_time, or leave start_time unset",
        )
    elif finish_time is None and send_time is not None and send_time < start_time:
        found.add(
            "start_time",
            f"is after send_time, by {spell_span(start_time - send_time)}, and no finish_time is "
            "given; write all times by one clock, or leave start_time unset",
        )
