"""What is wrong with a put, a report or a question: told field by field, with what to write."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from support.refusals import assert_told, refusal_of
from tocsin.api.alert.v1 import backup_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from support.alert import RunningAlert
    from support.clock import ManualClock

pytestmark = pytest.mark.postgres

Bad = list[tuple[dict[str, Any], dict[str, str]]]

CRON = backup_pb2.Recurrence(cron="30 2 * * *")
KINDS = "write one of JOB_KIND_BACKUP, JOB_KIND_FORGET, JOB_KIND_PRUNE, JOB_KIND_CHECK"

BAD_HOSTS: Bad = [
    ({"host_id": ""}, {"host_id": "must not be empty; write 1 to 256 characters"}),
    ({"name": "x" * 257}, {"name": "has 257 characters; write at most 256 characters"}),
    ({"name": "a\0"}, {"name": "NUL"}),
    ({"labels": {"x" * 65: ""}}, {f"labels[{'x' * 63}…]": "has a name of 65 characters"}),
    ({"profile": 9}, {"profile": "has no value 9; write one of HOST_PROFILE_SERVER"}),
    (
        {"offline_after": Duration(seconds=899)},
        {
            "offline_after": "is 899 seconds; write 15 minutes to 366 days, or leave it unset: "
            "15 minutes from its first heartbeat on"
        },
    ),
    ({"offline_after": Duration()}, {"offline_after": "is 0; write 15 minutes to 366 days"}),
    ({"offline_after": Duration(seconds=-1)}, {"offline_after": "is negative; write 15 minutes"}),
    (
        {"offline_after": Duration(seconds=367 * 86_400)},
        {"offline_after": "is over 366 days; write 15 minutes to 366 days"},
    ),
    ({"offline_after": Duration(seconds=1, nanos=-1)}, {"offline_after": "must have nanos"}),
    (
        {"profile": backup_pb2.HOST_PROFILE_LAPTOP, "offline_after": Duration(seconds=3600)},
        {"offline_after": "is only for servers; leave it unset: its silence is judged by"},
    ),
    (
        {"profile": backup_pb2.HOST_PROFILE_EPHEMERAL, "offline_after": Duration(seconds=3600)},
        {"offline_after": "is only for servers; leave it unset: it is never called offline"},
    ),
]

BAD_GROUPS: Bad = [
    ({"source_group_id": ""}, {"source_group_id": "must not be empty"}),
    ({"host_id": ""}, {"host_id": "must not be empty"}),
    ({"repository_id": "x" * 257}, {"repository_id": "has 257 characters"}),
    ({"name": "\0"}, {"name": "NUL"}),
    (
        {"objective": Duration()},
        {
            "objective": "is 0; write 1 minute to 366 days, or leave it unset: then it has no "
            "objective"
        },
    ),
    ({"objective": Duration(nanos=1)}, {"objective": "write 1 minute to 366 days"}),
    ({"objective": Duration(seconds=2**62)}, {"objective": "days; write 1 minute to 366 days"}),
]

BAD_SCHEDULES: Bad = [
    ({"schedule_id": ""}, {"schedule_id": "must not be empty"}),
    ({"host_id": ""}, {"host_id": "must not be empty"}),
    ({"job_kind": 0}, {"job_kind": f"has no value 0; {KINDS}"}),
    (
        {"job_kind": backup_pb2.JOB_KIND_PRUNE, "source_group_id": "home"},
        {"source_group_id": "is only for backups; leave it empty and name the repository"},
    ),
    (
        {"repository_id": "s3"},
        {"repository_id": "is not for backups; leave it empty and name the source group"},
    ),
    (
        {"recurrence": None},
        {"recurrence": 'must hold one of cron ("30 2 * * *"), on_calendar ("Mon..Fri 02:30")'},
    ),
    ({"grace": Duration(seconds=-60)}, {"grace": "is negative; write 0 to 31 days"}),
    ({"grace": Duration(seconds=32 * 86_400)}, {"grace": "is over 31 days; write 0 to 31 days"}),
    ({"max_duration": Duration()}, {"max_duration": "is 0; write 1 minute to 31 days"}),
    (
        {"schedule_id": "", "job_kind": 7, "grace": Duration(seconds=-1), "recurrence": None},
        {"schedule_id": "empty", "job_kind": "no value 7", "grace": "negative", "recurrence": ""},
    ),
]

BAD_RECURRENCES: Bad = [
    (
        {"cron": "0 0 30 2 *"},
        {"cron": '"0 0 30 2 *" never occurs. Write a day that'},
    ),
    ({"cron": "0 0 * *"}, {"cron": '"0 0 * *" has 4 fields; cron has five'}),
    ({"cron": "61 * * * *"}, {"cron": "It takes numbers (0-59)"}),
    ({"cron": "@reboot"}, {"cron": "@reboot names no time"}),
    ({"cron": "@fortnightly"}, {"cron": "is not a word of cron. Write one of @yearly"}),
    ({"cron": ""}, {"cron": "must not be empty"}),
    ({"cron": "*" * 257}, {"cron": "has 257 characters"}),
    ({"cron": "\0"}, {"cron": "NUL"}),
    ({"on_calendar": "Mon..Fry 02:30"}, {"on_calendar": "is not a calendar event"}),
    (
        {"on_calendar": "02:30 Europe/Berlin"},
        {"on_calendar": 'Write "02:30", and "Europe/Berlin" as'},
    ),
    ({"on_calendar": "2020-01-01"}, {"on_calendar": "never occurs"}),
    (
        {"cron": "30 2 * * *", "time_zone": "Europe/Berlim"},
        {"time_zone": "is not a time zone of the IANA database. Did you mean Europe/Berlin"},
    ),
    (
        {"cron": "30 2 * * *", "time_zone": "x/../y\0"},
        {"time_zone": "NUL"},
    ),
    (
        {"cron": "0 0 30 2 *", "time_zone": "Mars/Olympus"},
        {"cron": "never occurs", "time_zone": "is not a time zone"},
    ),
    ({"time_zone": "Nowhere"}, {"time_zone": "is not a time zone", "": "must hold one of cron"}),
    ({"interval": Duration()}, {"interval": "is 0; write 1 minute to 366 days"}),
    (
        {"interval": Duration(seconds=3600), "time_zone": "Europe/Berlin"},
        {"time_zone": "is not for interval; leave it empty"},
    ),
]

BAD_JOBS: Bad = [
    ({"job_id": ""}, {"job_id": "must not be empty; write 1 to 256 characters"}),
    ({"job_id": "x" * 257}, {"job_id": "has 257 characters"}),
    ({"host_id": "a\0"}, {"host_id": "NUL"}),
    ({"kind": 0}, {"kind": f"has no value 0; {KINDS}"}),
    ({"kind": 9}, {"kind": f"has no value 9; {KINDS}"}),
    (
        {"kind": backup_pb2.JOB_KIND_CHECK, "source_group_id": "home"},
        {"source_group_id": "is only for backups; leave it empty and name the repository"},
    ),
    ({"repository_id": "x" * 257}, {"repository_id": "has 257 characters"}),
    ({"schedule_id": "x" * 257}, {"schedule_id": "has 257 characters"}),
    (
        {"start_time": Timestamp(seconds=253_402_300_800)},
        {"start_time": "must lie in the years 1 to 9999"},
    ),
    ({"send_time": Timestamp(nanos=-1)}, {"send_time": "must have nanos from 0 to"}),
]

BAD_ENDS: Bad = [
    ({"result": 0}, {"result": "has no value 0; write one of JOB_RESULT_SUCCEEDED"}),
    (
        {"kind": backup_pb2.JOB_KIND_PRUNE, "result": backup_pb2.JOB_RESULT_INCOMPLETE},
        {"result": "only for backups; write JOB_RESULT_SUCCEEDED or JOB_RESULT_FAILED"},
    ),
    ({"exit_code": 256}, {"exit_code": "is 256; write -255 to 255, or leave it unset"}),
    ({"exit_code": -(2**31)}, {"exit_code": "is -2147483648; write -255 to 255"}),
    ({"error_text": "a\0b"}, {"error_text": "holds a NUL character (U+0000); leave it out"}),
    (
        {"start_time": Timestamp(seconds=1_000), "finish_time": Timestamp(seconds=940)},
        {
            "finish_time": "is before start_time, by 1 min; write when the job ended, by the "
            "clock that gave start_time, or leave start_time unset"
        },
    ),
    (
        {"start_time": Timestamp(seconds=1_000), "send_time": Timestamp(seconds=940)},
        {"start_time": "is after send_time, by 1 min, and no finish_time is given"},
    ),
    (
        {"summary": backup_pb2.BackupSummary(files_new=-1, unreadable_count=-2)},
        {
            "summary.files_new": "is -1; write 0 or more",
            "summary.unreadable_count": "is -2; write 0 or more",
        },
    ),
    (
        {"summary": backup_pb2.BackupSummary(snapshot_id="x" * 257)},
        {"summary.snapshot_id": "has 257 characters"},
    ),
    (
        {"kind": backup_pb2.JOB_KIND_CHECK, "summary": backup_pb2.BackupSummary()},
        {"summary": "is only for backups; leave it unset"},
    ),
]


def job(**fields: Any) -> dict[str, Any]:
    """Fields of a report of a backup, with these changed."""
    usual = {"job_id": "j-1", "host_id": "nas", "kind": backup_pb2.JOB_KIND_BACKUP}
    return {**usual, **fields}


async def assert_nothing_is_watched(alert: RunningAlert) -> None:
    hosts = await alert.backups.ListHosts(pb.ListHostsRequest())
    groups = await alert.backups.ListSourceGroups(pb.ListSourceGroupsRequest())
    schedules = await alert.backups.ListSchedules(pb.ListSchedulesRequest())
    assert [] == [*hosts.hosts, *groups.source_groups, *schedules.schedules]


async def test_a_bad_host_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in BAD_HOSTS:
        request = pb.PutHostRequest(**{"host_id": "nas", **fields})
        assert_told(expected, await refusal_of(alert.backups.PutHost(request)))
    await assert_nothing_is_watched(alert)


async def test_a_bad_source_group_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in BAD_GROUPS:
        request = pb.PutSourceGroupRequest(
            **{"source_group_id": "home", "host_id": "nas", **fields}
        )
        assert_told(expected, await refusal_of(alert.backups.PutSourceGroup(request)))
    await assert_nothing_is_watched(alert)


async def test_a_bad_schedule_is_told_field_by_field(alert: RunningAlert) -> None:
    usual: dict[str, Any] = {
        "schedule_id": "s",
        "host_id": "nas",
        "job_kind": 1,
        "recurrence": CRON,
    }
    for fields, expected in BAD_SCHEDULES:
        request = pb.PutScheduleRequest(**{**usual, **fields})
        assert_told(expected, await refusal_of(alert.backups.PutSchedule(request)))
    for times, expected in BAD_RECURRENCES:
        recurrence = backup_pb2.Recurrence(**times)
        request = pb.PutScheduleRequest(**{**usual, "recurrence": recurrence})
        told = {f"recurrence.{path}".removesuffix("."): why for path, why in expected.items()}
        assert_told(told, await refusal_of(alert.backups.PutSchedule(request)))
    await assert_nothing_is_watched(alert)


async def test_a_bad_report_of_a_job_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in BAD_JOBS:
        started = pb.ReportJobStartedRequest(**job(**fields))
        assert_told(expected, await refusal_of(alert.backups.ReportJobStarted(started)))
    for fields, expected in [*BAD_JOBS, *BAD_ENDS]:
        finished = pb.ReportJobFinishedRequest(**job(**{"result": 1, **fields}))
        assert_told(expected, await refusal_of(alert.backups.ReportJobFinished(finished)))


async def test_a_bad_heartbeat_is_told_field_by_field(alert: RunningAlert) -> None:
    request = pb.ReportHeartbeatRequest(send_time=Timestamp(nanos=-1))
    refusal = await refusal_of(alert.backups.ReportHeartbeat(request))
    assert_told({"host_id": "must not be empty", "send_time": "must have nanos"}, refusal)


async def test_a_question_for_what_was_never_put_is_not_found(alert: RunningAlert) -> None:
    backups = alert.backups
    asked: list[tuple[Any, str]] = [
        (backups.GetHost(pb.GetHostRequest(host_id="x")), "HOST"),
        (backups.RetireHost(pb.RetireHostRequest(host_id="x")), "HOST"),
        (backups.GetSourceGroup(pb.GetSourceGroupRequest(source_group_id="x")), "SOURCE_GROUP"),
        (
            backups.RetireSourceGroup(pb.RetireSourceGroupRequest(source_group_id="x")),
            "SOURCE_GROUP",
        ),
        (backups.GetSchedule(pb.GetScheduleRequest(schedule_id="x")), "SCHEDULE"),
        (backups.RetireSchedule(pb.RetireScheduleRequest(schedule_id="x")), "SCHEDULE"),
    ]
    for call, thing in asked:
        refusal = await refusal_of(call)
        assert (grpc.StatusCode.NOT_FOUND, f"{thing}_NOT_FOUND") == (refusal.code, refusal.reason)
        assert "x" in refusal.message


async def test_a_bad_question_is_told_field_by_field(alert: RunningAlert) -> None:
    backups = alert.backups
    bad: dict[str, Any] = {"page_size": -1, "page_token": "aaaa"}
    told = {"page_size": "is -1; write 1 to 1,000", "page_token": "is not a token"}
    of_host = {**told, "host_id": "NUL"}
    asked: list[tuple[Any, dict[str, str]]] = [
        (backups.ListHosts(pb.ListHostsRequest(**bad)), told),
        (backups.ListSourceGroups(pb.ListSourceGroupsRequest(host_id="\0", **bad)), of_host),
        (backups.ListSchedules(pb.ListSchedulesRequest(host_id="\0", **bad)), of_host),
        (backups.GetProtection(pb.GetProtectionRequest(host_id="\0", **bad)), of_host),
        (backups.GetHost(pb.GetHostRequest()), {"host_id": "must not be empty"}),
        (
            backups.GetSourceGroup(pb.GetSourceGroupRequest(source_group_id="\0")),
            {"source_group_id": "NUL"},
        ),
        (backups.GetSchedule(pb.GetScheduleRequest()), {"schedule_id": "must not be empty"}),
        (backups.RetireHost(pb.RetireHostRequest()), {"host_id": "must not be empty"}),
    ]
    for call, expected in asked:
        assert_told(expected, await refusal_of(call))


async def test_a_page_token_of_other_filters_is_refused(alert: RunningAlert) -> None:
    for group in "abc":
        await alert.backups.PutSourceGroup(
            pb.PutSourceGroupRequest(source_group_id=group, host_id="nas")
        )
    first = await alert.backups.ListSourceGroups(pb.ListSourceGroupsRequest(page_size=1))
    token = first.next_page_token

    wider = pb.ListSourceGroupsRequest(include_retired=True, page_token=token)
    other = pb.ListSchedulesRequest(page_token=token)
    kept = await alert.backups.ListSourceGroups(
        pb.ListSourceGroupsRequest(page_size=5, page_token=token)
    )

    assert ["b", "c"] == [group.source_group_id for group in kept.source_groups]
    not_given = {"page_token": "is not a token that this list gave"}
    assert_told(not_given, await refusal_of(alert.backups.ListSourceGroups(wider)))
    assert_told(not_given, await refusal_of(alert.backups.ListSchedules(other)))


async def test_what_lies_on_another_host_is_refused_by_its_name(alert: RunningAlert) -> None:
    backups = alert.backups
    on_nas: dict[str, Any] = {"source_group_id": "home", "host_id": "nas"}
    await backups.PutSourceGroup(pb.PutSourceGroupRequest(**on_nas))
    schedule: dict[str, Any] = {"schedule_id": "s", "job_kind": 1, "recurrence": CRON}
    await backups.PutSchedule(pb.PutScheduleRequest(**schedule, host_id="nas"))

    elsewhere: dict[str, Any] = {"source_group_id": "home", "host_id": "web-1"}
    moved = await refusal_of(backups.PutSourceGroup(pb.PutSourceGroupRequest(**elsewhere)))
    assert_told({"host_id": "nas"}, moved)
    reported = pb.ReportJobFinishedRequest(**job(source_group_id="home", result=1, host_id="web-1"))
    refusal = await refusal_of(backups.ReportJobFinished(reported))
    assert_told({"source_group_id": "lies on host 'nas'"}, refusal)
    planned = pb.PutScheduleRequest(
        **schedule | {"schedule_id": "t", "host_id": "web-1", "source_group_id": "home"}
    )
    refusal = await refusal_of(backups.PutSchedule(planned))
    assert_told({"source_group_id": "lies on host 'nas'"}, refusal)
    wrong_schedule = pb.ReportJobStartedRequest(**job(schedule_id="s", host_id="web-1"))
    refusal = await refusal_of(backups.ReportJobStarted(wrong_schedule))
    assert_told({"schedule_id": "nas"}, refusal)


async def test_a_job_id_with_other_content_is_refused(
    alert: RunningAlert, clock: ManualClock
) -> None:
    first = pb.ReportJobFinishedRequest(**job(result=1, exit_code=0))
    await alert.backups.ReportJobFinished(first)
    clock.advance(timedelta(minutes=1))

    for changed in ({"exit_code": 1}, {"result": 3}, {"host_id": "web-1"}, {"repository_id": "s3"}):
        other = pb.ReportJobFinishedRequest(**{**job(result=1, exit_code=0), **changed})
        refusal = await refusal_of(alert.backups.ReportJobFinished(other))
        assert (grpc.StatusCode.INVALID_ARGUMENT, "JOB_ID_REUSED") == (
            refusal.code,
            refusal.reason,
        )
        assert {"job_id"} == set(refusal.violations)
    started = pb.ReportJobStartedRequest(**job(host_id="web-1"))
    refusal = await refusal_of(alert.backups.ReportJobStarted(started))
    assert "JOB_ID_REUSED" == refusal.reason


async def test_a_job_told_again_at_other_times_is_no_other_content(
    alert: RunningAlert, clock: ManualClock
) -> None:
    first = pb.ReportJobFinishedRequest(**job(result=3), finish_time=to_timestamp(clock.now()))
    answer = await alert.backups.ReportJobFinished(first)
    later = clock.advance(timedelta(minutes=1))

    again = pb.ReportJobFinishedRequest(
        **job(result=3), finish_time=to_timestamp(later), send_time=to_timestamp(later)
    )
    replayed = await alert.backups.ReportJobFinished(again)
    started = await alert.backups.ReportJobStarted(pb.ReportJobStartedRequest(**job()))

    assert ["backup_failed"] == [each.kind for each in answer.alerts]
    assert (True, [], answer.judged_result, answer.cause) == (
        replayed.replayed,
        list(replayed.alerts),
        replayed.judged_result,
        replayed.cause,
    )
    assert started.replayed, "its own start comes late"
