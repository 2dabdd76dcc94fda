"""The blocking and the asyncio client of what is backed up, by one table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from support.alert_stubs import an_alert
from support.client_calls import Caller, Case
from tocsin.api.alert.v1 import backup_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.client import BackupClient, SyncBackupClient, backup_requests
from tocsin.common import errors as common

if TYPE_CHECKING:
    from support.scripted_answers import ScriptedAnswers

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STAMP = Timestamp(seconds=int(NOON.timestamp()))
HOST = backup_pb2.Host(host_id="web-1", name="Web")
GROUP = backup_pb2.SourceGroup(source_group_id="home", host_id="web-1")
SCHEDULE = backup_pb2.Schedule(schedule_id="nightly", host_id="web-1")
PROTECTION = backup_pb2.Protection(source_group=GROUP)
SUMMARY = backup_pb2.BackupSummary(files_new=3)

CASES = [
    Case(
        "backup",
        lambda c: c.put_host(
            "web-1",
            name="Web",
            labels={"a": "b"},
            profile="laptop",
            offline_after=timedelta(minutes=20),
        ),
        "PutHost",
        pb.PutHostRequest(
            host_id="web-1",
            name="Web",
            labels={"a": "b"},
            profile=backup_pb2.HOST_PROFILE_LAPTOP,
            offline_after=Duration(seconds=1200),
        ),
        pb.PutHostResponse(host=HOST),
        HOST,
    ),
    Case(
        "backup",
        lambda c: c.get_host("web-1"),
        "GetHost",
        pb.GetHostRequest(host_id="web-1"),
        pb.GetHostResponse(host=HOST),
        HOST,
    ),
    Case(
        "backup",
        lambda c: c.list_hosts_page(include_retired=True, page_size=5, page_token="t"),
        "ListHosts",
        pb.ListHostsRequest(include_retired=True, page_size=5, page_token="t"),
        pb.ListHostsResponse(hosts=[HOST], next_page_token="u"),
    ),
    Case(
        "backup",
        lambda c: c.list_hosts(),
        "ListHosts",
        pb.ListHostsRequest(),
        pb.ListHostsResponse(hosts=[HOST]),
        [HOST],
    ),
    Case(
        "backup",
        lambda c: c.retire_host("web-1"),
        "RetireHost",
        pb.RetireHostRequest(host_id="web-1"),
        pb.RetireHostResponse(host=HOST, resolved_count=2),
    ),
    Case(
        "backup",
        lambda c: c.put_source_group(
            "home", "web-1", repository_id="s3", name="Home", objective=timedelta(hours=26)
        ),
        "PutSourceGroup",
        pb.PutSourceGroupRequest(
            source_group_id="home",
            host_id="web-1",
            repository_id="s3",
            name="Home",
            objective=Duration(seconds=93_600),
        ),
        pb.PutSourceGroupResponse(source_group=GROUP),
        GROUP,
    ),
    Case(
        "backup",
        lambda c: c.get_source_group("home"),
        "GetSourceGroup",
        pb.GetSourceGroupRequest(source_group_id="home"),
        pb.GetSourceGroupResponse(source_group=GROUP),
        GROUP,
    ),
    Case(
        "backup",
        lambda c: c.list_source_groups_page(host_id="web-1", page_token="t"),
        "ListSourceGroups",
        pb.ListSourceGroupsRequest(host_id="web-1", page_token="t"),
        pb.ListSourceGroupsResponse(source_groups=[GROUP]),
    ),
    Case(
        "backup",
        lambda c: c.list_source_groups(host_id="web-1", include_retired=True, page_size=7),
        "ListSourceGroups",
        pb.ListSourceGroupsRequest(host_id="web-1", include_retired=True, page_size=7),
        pb.ListSourceGroupsResponse(source_groups=[GROUP]),
        [GROUP],
    ),
    Case(
        "backup",
        lambda c: c.retire_source_group("home"),
        "RetireSourceGroup",
        pb.RetireSourceGroupRequest(source_group_id="home"),
        pb.RetireSourceGroupResponse(source_group=GROUP, resolved_count=1),
    ),
    Case(
        "backup",
        lambda c: c.put_schedule(
            "nightly",
            "web-1",
            "backup",
            source_group_id="home",
            cron="30 2 * * *",
            time_zone="Europe/Berlin",
            grace=timedelta(0),
            max_duration=timedelta(hours=3),
            enabled=False,
        ),
        "PutSchedule",
        pb.PutScheduleRequest(
            schedule_id="nightly",
            host_id="web-1",
            job_kind=backup_pb2.JOB_KIND_BACKUP,
            source_group_id="home",
            recurrence=backup_pb2.Recurrence(cron="30 2 * * *", time_zone="Europe/Berlin"),
            grace=Duration(),
            max_duration=Duration(seconds=10_800),
            enabled=False,
        ),
        pb.PutScheduleResponse(schedule=SCHEDULE),
        SCHEDULE,
    ),
    Case(
        "backup",
        lambda c: c.get_schedule("nightly"),
        "GetSchedule",
        pb.GetScheduleRequest(schedule_id="nightly"),
        pb.GetScheduleResponse(schedule=SCHEDULE),
        SCHEDULE,
    ),
    Case(
        "backup",
        lambda c: c.list_schedules_page(host_id="web-1", page_size=3),
        "ListSchedules",
        pb.ListSchedulesRequest(host_id="web-1", page_size=3),
        pb.ListSchedulesResponse(schedules=[SCHEDULE]),
    ),
    Case(
        "backup",
        lambda c: c.list_schedules(),
        "ListSchedules",
        pb.ListSchedulesRequest(),
        pb.ListSchedulesResponse(schedules=[SCHEDULE]),
        [SCHEDULE],
    ),
    Case(
        "backup",
        lambda c: c.retire_schedule("nightly"),
        "RetireSchedule",
        pb.RetireScheduleRequest(schedule_id="nightly"),
        pb.RetireScheduleResponse(schedule=SCHEDULE),
    ),
    Case(
        "backup",
        lambda c: c.report_job_started(
            "j-1", "web-1", "backup", source_group_id="home", start_time=NOON, send_time=NOON
        ),
        "ReportJobStarted",
        pb.ReportJobStartedRequest(
            job_id="j-1",
            host_id="web-1",
            kind=backup_pb2.JOB_KIND_BACKUP,
            source_group_id="home",
            start_time=STAMP,
            send_time=STAMP,
        ),
        pb.ReportJobStartedResponse(replayed=True),
    ),
    Case(
        "backup",
        lambda c: c.report_job_finished(
            "j-1",
            "web-1",
            "backup",
            "failed",
            source_group_id="home",
            repository_id="s3",
            schedule_id="nightly",
            exit_code=0,
            error_text="Fatal: a\0b\udcff",
            start_time=NOON,
            finish_time=NOON,
            send_time=NOON,
            summary=SUMMARY,
        ),
        "ReportJobFinished",
        pb.ReportJobFinishedRequest(
            job_id="j-1",
            host_id="web-1",
            kind=backup_pb2.JOB_KIND_BACKUP,
            source_group_id="home",
            repository_id="s3",
            schedule_id="nightly",
            result=backup_pb2.JOB_RESULT_FAILED,
            exit_code=0,
            error_text="Fatal: a\N{REPLACEMENT CHARACTER}b?",
            start_time=STAMP,
            finish_time=STAMP,
            send_time=STAMP,
            summary=SUMMARY,
        ),
        pb.ReportJobFinishedResponse(cause="other", alerts=[an_alert(1)]),
    ),
    Case(
        "backup",
        lambda c: c.report_heartbeat("web-1", send_time=NOON),
        "ReportHeartbeat",
        pb.ReportHeartbeatRequest(host_id="web-1", send_time=STAMP),
        pb.ReportHeartbeatResponse(resolved_alert=an_alert(1)),
    ),
    Case(
        "backup",
        lambda c: c.get_protection_page(host_id="web-1", page_size=2, page_token="t"),
        "GetProtection",
        pb.GetProtectionRequest(host_id="web-1", page_size=2, page_token="t"),
        pb.GetProtectionResponse(protections=[PROTECTION], next_page_token="u"),
    ),
    Case(
        "backup",
        lambda c: c.get_protection(),
        "GetProtection",
        pb.GetProtectionRequest(),
        pb.GetProtectionResponse(protections=[PROTECTION]),
        [PROTECTION],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.method)
async def test_each_method_sends_what_it_was_given_and_returns_the_answer(
    case: Case, caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers[case.method].append(case.answer)

    assert case.expected == await caller(case.client, case.call)
    assert [case.sent] == [type(case.sent).FromString(each) for each in script.sent(case.method)]


async def test_a_report_tells_the_clock_of_each_attempt_and_the_end_of_the_first(
    caller: Caller, script: ScriptedAnswers
) -> None:
    away = common.UnavailableError("Away.", retry_after=timedelta(milliseconds=1))
    answer = pb.ReportJobFinishedResponse()
    script.answers["ReportJobFinished"] += [away, away, answer]

    report = backup_requests.report_job_finished("j-1", "web-1", "backup", "succeeded")
    assert answer == await caller("backup", lambda c: c.send_job_finished(report))

    sent = [
        pb.ReportJobFinishedRequest.FromString(each) for each in script.sent("ReportJobFinished")
    ]
    finishes = {each.finish_time.ToNanoseconds() for each in sent}
    sends = [each.send_time.ToNanoseconds() for each in sent]
    assert (3, 1) == (len(sent), len(finishes))
    assert sorted(set(sends)) == sends, "the clock as of each attempt"
    assert min(finishes) == sends[0]


async def test_a_report_that_is_sent_again_is_not_changed_by_the_sending(
    caller: Caller, script: ScriptedAnswers
) -> None:
    script.answers["ReportJobStarted"].append(pb.ReportJobStartedResponse())
    report = backup_requests.report_job_started("j-1", "web-1", "check", start_time=NOON)
    before = report.SerializeToString()

    await caller("backup", lambda c: c.send_job_started(report))

    assert before == report.SerializeToString()
    (sent,) = script.sent("ReportJobStarted")
    assert pb.ReportJobStartedRequest.FromString(sent).HasField("send_time")


async def test_both_clients_have_the_same_methods() -> None:
    def public(client: type[Any]) -> set[str]:
        return {name for name in vars(client) if not name.startswith("_")}

    assert public(SyncBackupClient) == public(BackupClient)


def test_times_of_a_schedule_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="cron, on_calendar, interval: they exclude each other"):
        backup_requests.put_schedule(
            "s", "web-1", "backup", cron="0 3 * * *", interval=timedelta(hours=6)
        )


@pytest.mark.parametrize(("kind", "told"), [("bakup", "backup, forget, prune, check")])
def test_a_kind_that_there_is_not_is_told_with_those_that_there_are(kind: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        backup_requests.report_job_started("j-1", "web-1", kind)


def test_of_a_long_text_of_a_failure_the_end_is_sent() -> None:
    text = "warning\n" * 100_000 + "Fatal: unable to save snapshot"
    report = backup_requests.report_job_finished(
        "j-1", "web-1", "backup", "failed", error_text=text
    )
    assert backup_requests.ERROR_TEXT_CHARACTERS == len(report.error_text)
    assert report.error_text.endswith("Fatal: unable to save snapshot")


def test_heartbeats_of_many_hosts_are_cut_into_messages() -> None:
    messages = list(backup_requests.heartbeats(f"h-{n}" for n in range(2_001)))
    assert [1_000, 1_000, 1] == [len(each.heartbeats) for each in messages]
