"""The requests on what is backed up, built from plain Python arguments.

Every one of them is idempotent: puts and retirements by their nature, reports of jobs by their
job_id. So the same request may be sent again after whatever failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from tocsin.api.alert.v1 import backup_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.client.values import duration, enum_value, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from typing import Unpack

    from tocsin.client.backup_fields import (
        HostFields,
        JobEndFields,
        JobFields,
        ListFields,
        ScheduleFields,
        SourceGroupFields,
    )

MAX_HEARTBEATS = 1_000
# Far more than the server keeps, far less than a message may have.
ERROR_TEXT_CHARACTERS = 65_536

JobReport: TypeAlias = pb.ReportJobStartedRequest | pb.ReportJobFinishedRequest
Report: TypeAlias = JobReport | pb.ReportHeartbeatRequest


def new_job_id() -> str:
    """Return a new job id."""
    return str(uuid4())


def put_host(host_id: str, **fields: Unpack[HostFields]) -> pb.PutHostRequest:
    """Build a host to write, whole: what is not given is emptied."""
    return pb.PutHostRequest(
        host_id=host_id,
        name=fields.get("name", ""),
        labels=dict(fields.get("labels") or {}),
        profile=enum_value("profile", backup_pb2.HostProfile, fields.get("profile")),
        offline_after=duration(fields.get("offline_after")),
    )


def get_host(host_id: str) -> pb.GetHostRequest:
    """Ask for one host."""
    return pb.GetHostRequest(host_id=host_id)


def list_hosts(
    *, include_retired: bool = False, page_size: int = 0, page_token: str = ""
) -> pb.ListHostsRequest:
    """Ask for a page of hosts."""
    return pb.ListHostsRequest(
        include_retired=include_retired, page_size=page_size, page_token=page_token
    )


def retire_host(host_id: str) -> pb.RetireHostRequest:
    """Name a host to retire."""
    return pb.RetireHostRequest(host_id=host_id)


def put_source_group(
    source_group_id: str, host_id: str, **fields: Unpack[SourceGroupFields]
) -> pb.PutSourceGroupRequest:
    """Build a source group to write, whole."""
    return pb.PutSourceGroupRequest(
        source_group_id=source_group_id,
        host_id=host_id,
        repository_id=fields.get("repository_id", ""),
        name=fields.get("name", ""),
        objective=duration(fields.get("objective")),
    )


def get_source_group(source_group_id: str) -> pb.GetSourceGroupRequest:
    """Ask for one source group."""
    return pb.GetSourceGroupRequest(source_group_id=source_group_id)


def list_source_groups(**fields: Unpack[ListFields]) -> pb.ListSourceGroupsRequest:
    """Ask for a page of source groups."""
    return pb.ListSourceGroupsRequest(**fields)


def retire_source_group(source_group_id: str) -> pb.RetireSourceGroupRequest:
    """Name a source group to retire."""
    return pb.RetireSourceGroupRequest(source_group_id=source_group_id)


def put_schedule(
    schedule_id: str, host_id: str, job_kind: str | int, **fields: Unpack[ScheduleFields]
) -> pb.PutScheduleRequest:
    """Build a schedule to write, whole. `job_kind` is `backup`, `forget`, `prune` or `check`.

    Raises ValueError when more than one of `cron`, `on_calendar` and `interval` is given.
    """
    return pb.PutScheduleRequest(
        schedule_id=schedule_id,
        host_id=host_id,
        job_kind=enum_value("job_kind", backup_pb2.JobKind, job_kind),
        source_group_id=fields.get("source_group_id", ""),
        repository_id=fields.get("repository_id", ""),
        recurrence=_recurrence(**fields),
        grace=duration(fields.get("grace")),
        max_duration=duration(fields.get("max_duration")),
        enabled=fields.get("enabled"),
    )


def get_schedule(schedule_id: str) -> pb.GetScheduleRequest:
    """Ask for one schedule."""
    return pb.GetScheduleRequest(schedule_id=schedule_id)


def list_schedules(**fields: Unpack[ListFields]) -> pb.ListSchedulesRequest:
    """Ask for a page of schedules."""
    return pb.ListSchedulesRequest(**fields)


def retire_schedule(schedule_id: str) -> pb.RetireScheduleRequest:
    """Name a schedule to retire."""
    return pb.RetireScheduleRequest(schedule_id=schedule_id)


def report_job_started(
    job_id: str, host_id: str, kind: str | int, **said: Unpack[JobFields]
) -> pb.ReportJobStartedRequest:
    """Build the report that a job has begun. `kind` is `backup`, `forget`, `prune` or `check`."""
    return pb.ReportJobStartedRequest(
        job_id=job_id,
        host_id=host_id,
        kind=enum_value("kind", backup_pb2.JobKind, kind),
        source_group_id=said.get("source_group_id", ""),
        repository_id=said.get("repository_id", ""),
        schedule_id=said.get("schedule_id", ""),
        start_time=timestamp("start_time", said.get("start_time")),
        send_time=timestamp("send_time", said.get("send_time")),
    )


def report_job_finished(
    job_id: str, host_id: str, kind: str | int, result: str | int, **said: Unpack[JobEndFields]
) -> pb.ReportJobFinishedRequest:
    """Build the report of how a job ended.

    `result` is `succeeded`, `incomplete`, `failed` or `cancelled`. Of a long `error_text` the end
    is sent; what is no text in it is replaced, so that no report is refused for it.

    Example:
        >>> report_job_finished("j-1", "web-1", "backup", "failed", exit_code=11).exit_code
        11
    """
    return pb.ReportJobFinishedRequest(
        job_id=job_id,
        host_id=host_id,
        kind=enum_value("kind", backup_pb2.JobKind, kind),
        source_group_id=said.get("source_group_id", ""),
        repository_id=said.get("repository_id", ""),
        schedule_id=said.get("schedule_id", ""),
        result=enum_value("result", backup_pb2.JobResult, result),
        exit_code=said.get("exit_code"),
        error_text=_sendable(said.get("error_text", "")),
        start_time=timestamp("start_time", said.get("start_time")),
        finish_time=timestamp("finish_time", said.get("finish_time")),
        send_time=timestamp("send_time", said.get("send_time")),
        summary=said.get("summary"),
    )


def report_heartbeat(
    host_id: str, *, send_time: datetime | None = None
) -> pb.ReportHeartbeatRequest:
    """Build a sign of life."""
    return pb.ReportHeartbeatRequest(host_id=host_id, send_time=timestamp("send_time", send_time))


def heartbeats(
    beats: Iterable[str | pb.ReportHeartbeatRequest],
) -> Iterator[pb.HeartbeatsRequest]:
    """Yield the messages of a stream of signs of life, 1,000 in each. A str is a host_id."""
    batch = pb.HeartbeatsRequest()
    for beat in beats:
        batch.heartbeats.append(report_heartbeat(beat) if isinstance(beat, str) else beat)
        if len(batch.heartbeats) == MAX_HEARTBEATS:
            yield batch
            batch = pb.HeartbeatsRequest()
    if batch.heartbeats:
        yield batch


def get_protection(
    *, host_id: str = "", page_size: int = 0, page_token: str = ""
) -> pb.GetProtectionRequest:
    """Ask whether data is safe: for a page of the source groups of a host, or of all."""
    return pb.GetProtectionRequest(host_id=host_id, page_size=page_size, page_token=page_token)


def _recurrence(**fields: Unpack[ScheduleFields]) -> backup_pb2.Recurrence:
    given = {name: fields.get(name) for name in ("cron", "on_calendar", "interval")}
    if sum(value not in (None, "") for value in given.values()) > 1:
        raise ValueError("cron, on_calendar, interval: they exclude each other; give one of them")
    recurrence = backup_pb2.Recurrence(
        interval=duration(fields.get("interval")), time_zone=fields.get("time_zone", "")
    )
    if cron := fields.get("cron"):
        recurrence.cron = cron
    if on_calendar := fields.get("on_calendar"):
        recurrence.on_calendar = on_calendar
    return recurrence


def _sendable(text: str) -> str:
    end = text[-ERROR_TEXT_CHARACTERS:]
    whole = end.encode(errors="replace").decode()
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")
