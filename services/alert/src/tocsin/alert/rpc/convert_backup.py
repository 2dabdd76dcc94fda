"""What is backed up, as messages of the contract. Stub types go no further inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.host import Profile
from tocsin.alert.domain.job import JobKind, JobResult
from tocsin.alert.domain.protection import ProtectionStatus
from tocsin.alert.domain.schedule import Cron, OnCalendar
from tocsin.alert.rpc.convert import alert_to_stub
from tocsin.alert.rpc.lengths import to_duration
from tocsin.api.alert.v1 import backup_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.protection import Protection
    from tocsin.alert.domain.schedule import Recurrence, Schedule
    from tocsin.alert.domain.source_group import SourceGroup
    from tocsin.alert.ledger.backup_commands import HearAnswer, JobFinishAnswer

_PROFILES = {
    Profile.SERVER: backup_pb2.HOST_PROFILE_SERVER,
    Profile.LAPTOP: backup_pb2.HOST_PROFILE_LAPTOP,
    Profile.EPHEMERAL: backup_pb2.HOST_PROFILE_EPHEMERAL,
}
_JOB_KINDS = {
    JobKind.BACKUP: backup_pb2.JOB_KIND_BACKUP,
    JobKind.FORGET: backup_pb2.JOB_KIND_FORGET,
    JobKind.PRUNE: backup_pb2.JOB_KIND_PRUNE,
    JobKind.CHECK: backup_pb2.JOB_KIND_CHECK,
}
_JOB_RESULTS = {
    JobResult.SUCCEEDED: backup_pb2.JOB_RESULT_SUCCEEDED,
    JobResult.INCOMPLETE: backup_pb2.JOB_RESULT_INCOMPLETE,
    JobResult.FAILED: backup_pb2.JOB_RESULT_FAILED,
    JobResult.CANCELLED: backup_pb2.JOB_RESULT_CANCELLED,
}
_PROTECTION_STATUSES = {
    ProtectionStatus.SAFE: backup_pb2.PROTECTION_STATUS_SAFE,
    ProtectionStatus.AT_RISK: backup_pb2.PROTECTION_STATUS_AT_RISK,
    ProtectionStatus.UNPROTECTED: backup_pb2.PROTECTION_STATUS_UNPROTECTED,
}


def host_to_stub(host: Host) -> backup_pb2.Host:
    return backup_pb2.Host(
        host_id=host.host_id,
        name=host.spec.name,
        labels=host.spec.labels,
        create_time=to_timestamp(host.create_time),
        update_time=to_timestamp(host.update_time),
        profile=_PROFILES[host.spec.profile],
        offline_after=_length(host.spec.offline_after),
        last_heard_time=_time(host.signs.last_heard_time),
        clock_skew=_length(host.signs.skew),
        retire_time=_time(host.retire_time),
    )


def source_group_to_stub(group: SourceGroup) -> backup_pb2.SourceGroup:
    return backup_pb2.SourceGroup(
        source_group_id=group.spec.source_group_id,
        host_id=group.spec.host_id,
        repository_id=group.spec.repository_id,
        name=group.spec.name,
        objective=_length(group.spec.objective),
        create_time=to_timestamp(group.create_time),
        update_time=to_timestamp(group.update_time),
        retire_time=_time(group.retire_time),
    )


def schedule_to_stub(schedule: Schedule) -> backup_pb2.Schedule:
    spec = schedule.spec
    return backup_pb2.Schedule(
        schedule_id=spec.schedule_id,
        host_id=spec.host_id,
        job_kind=_JOB_KINDS[spec.job_kind],
        source_group_id=spec.source_group_id,
        repository_id=spec.repository_id,
        recurrence=recurrence_to_stub(spec.recurrence),
        grace=to_duration(spec.grace),
        max_duration=to_duration(spec.max_duration),
        enabled=spec.enabled,
        create_time=to_timestamp(schedule.create_time),
        update_time=to_timestamp(schedule.update_time),
        retire_time=_time(schedule.retire_time),
        next_due_time=_time(schedule.due_time),
        deadline_time=_time(schedule.deadline_time),
        last_finish_time=_time(schedule.runs.last_finish_time),
    )


def recurrence_to_stub(recurrence: Recurrence) -> backup_pb2.Recurrence:
    match recurrence:
        case Cron():
            return backup_pb2.Recurrence(cron=recurrence.expression, time_zone=recurrence.time_zone)
        case OnCalendar():
            return backup_pb2.Recurrence(
                on_calendar=recurrence.expression, time_zone=recurrence.time_zone
            )
        case _:
            return backup_pb2.Recurrence(interval=to_duration(recurrence.length))


def protection_to_stub(protection: Protection) -> backup_pb2.Protection:
    return backup_pb2.Protection(
        source_group=source_group_to_stub(protection.source_group),
        host_name=protection.host_name,
        status=_PROTECTION_STATUSES[protection.status],
        last_good_backup_time=_time(protection.last_good_backup_time),
        age=to_duration(protection.age),
        objective_multiple=protection.objective_multiple,
        next_due_time=_time(protection.next_due_time),
        open_alerts=[alert_to_stub(alert) for alert in protection.open_alerts],
    )


def finish_answer_to_stub(answer: JobFinishAnswer) -> pb.ReportJobFinishedResponse:
    return pb.ReportJobFinishedResponse(
        replayed=answer.replayed,
        judged_result=_JOB_RESULTS[answer.judged],
        cause=answer.cause,
        alerts=[alert_to_stub(alert) for alert in answer.alerts],
    )


def heard_answer_to_stub(answer: HearAnswer) -> pb.ReportHeartbeatResponse:
    resolved = answer.resolved
    return pb.ReportHeartbeatResponse(
        resolved_alert=None if resolved is None else alert_to_stub(resolved)
    )


def _time(time: datetime | None) -> Timestamp | None:
    return None if time is None else to_timestamp(time)


def _length(length: timedelta | None) -> Duration | None:
    return None if length is None else to_duration(length)
