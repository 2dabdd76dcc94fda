"""GetProtection: is my data safe, and why not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration

from support.alert import RunningAlert, running_alert
from tocsin.api.alert.v1 import alert_pb2, alert_service_pb2, backup_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)
SAFE = backup_pb2.PROTECTION_STATUS_SAFE
AT_RISK = backup_pb2.PROTECTION_STATUS_AT_RISK
UNPROTECTED = backup_pb2.PROTECTION_STATUS_UNPROTECTED


@pytest.fixture
async def alert(alert_url: str, clock: ManualClock) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url, clock=clock) as running:
        yield running


async def put_group(
    alert: RunningAlert, group: str = "home", host_id: str = "nas", objective: timedelta = 24 * HOUR
) -> None:
    length = Duration()
    length.FromTimedelta(objective)
    await alert.backups.PutSourceGroup(
        pb.PutSourceGroupRequest(source_group_id=group, host_id=host_id, objective=length)
    )


async def report(
    alert: RunningAlert, result: str, finish_time: datetime, group: str = "home", **said: Any
) -> pb.ReportJobFinishedResponse:
    request = pb.ReportJobFinishedRequest(
        job_id=f"{group} {result} {finish_time}",
        host_id="nas",
        kind=backup_pb2.JOB_KIND_BACKUP,
        source_group_id=group,
        result=backup_pb2.JobResult.Value(f"JOB_RESULT_{result}"),
        finish_time=to_timestamp(finish_time),
        **said,
    )
    return await alert.backups.ReportJobFinished(request)


async def protections(alert: RunningAlert, **asked: Any) -> list[backup_pb2.Protection]:
    return list((await alert.backups.GetProtection(pb.GetProtectionRequest(**asked))).protections)


async def protection(alert: RunningAlert) -> backup_pb2.Protection:
    (only,) = await protections(alert)
    return only


async def test_data_that_was_never_backed_up_is_unprotected_from_its_first_put_on(
    alert: RunningAlert, clock: ManualClock
) -> None:
    await put_group(alert)
    clock.advance(2 * HOUR)

    told = await protection(alert)

    assert (UNPROTECTED, 2 * HOUR, 0) == (
        told.status,
        told.age.ToTimedelta(),
        told.objective_multiple,
    )
    assert not told.HasField("last_good_backup_time")
    assert ("nas", "home") == (told.host_name, told.source_group.source_group_id)


async def test_data_is_safe_while_its_last_good_backup_is_younger_than_the_objective(
    alert: RunningAlert, clock: ManualClock
) -> None:
    await alert.backups.PutHost(pb.PutHostRequest(host_id="nas", name="The NAS"))
    await put_group(alert)
    finished = clock.now() - HOUR
    await report(alert, "SUCCEEDED", finished)

    told = await protection(alert)
    clock.advance(23 * HOUR)
    passed = await protection(alert)

    assert (SAFE, HOUR, 0, []) == (
        told.status,
        told.age.ToTimedelta(),
        told.objective_multiple,
        list(told.open_alerts),
    )
    assert ("The NAS", to_timestamp(finished)) == (told.host_name, told.last_good_backup_time)
    assert (UNPROTECTED, 1) == (passed.status, passed.objective_multiple)


async def test_a_late_success_of_long_ago_does_not_make_it_younger(
    alert: RunningAlert, clock: ManualClock
) -> None:
    await put_group(alert)
    await report(alert, "SUCCEEDED", clock.now() - HOUR)
    await report(alert, "SUCCEEDED", clock.now() - 30 * HOUR)

    assert to_timestamp(clock.now() - HOUR) == (await protection(alert)).last_good_backup_time


async def test_a_failure_or_an_incomplete_backup_puts_it_at_risk_and_is_no_good_backup(
    alert: RunningAlert, clock: ManualClock
) -> None:
    await put_group(alert)
    good = clock.now() - 5 * HOUR
    await report(alert, "SUCCEEDED", good)
    await report(alert, "INCOMPLETE", clock.now() - 2 * HOUR, exit_code=3)
    await report(alert, "FAILED", clock.now() - HOUR, exit_code=12)

    told = await protection(alert)

    assert (AT_RISK, to_timestamp(good)) == (told.status, told.last_good_backup_time)
    assert ["backup_incomplete", "backup_failed"] == [each.kind for each in told.open_alerts]


async def test_the_next_run_due_is_that_of_the_earliest_of_its_schedules(
    alert: RunningAlert, clock: ManualClock
) -> None:
    await put_group(alert)
    for name, hours, enabled in (("daily", 24, True), ("often", 6, True), ("never", 1, False)):
        await alert.backups.PutSchedule(
            pb.PutScheduleRequest(
                schedule_id=name,
                host_id="nas",
                job_kind=backup_pb2.JOB_KIND_BACKUP,
                source_group_id="home",
                recurrence=backup_pb2.Recurrence(interval=Duration(seconds=hours * 3600)),
                enabled=enabled,
            )
        )

    assert to_timestamp(clock.now() + 6 * HOUR) == (await protection(alert)).next_due_time


async def test_alerts_of_others_and_resolved_ones_are_not_told_but_the_hosts_silence_is(
    alert: RunningAlert, clock: ManualClock
) -> None:
    await put_group(alert)
    await put_group(alert, "etc")
    await report(alert, "FAILED", clock.now() - 2 * HOUR)
    await report(alert, "SUCCEEDED", clock.now() - HOUR)
    await report(alert, "FAILED", clock.now(), "etc")
    for host_id, kind in (("nas", "agent_offline"), ("other", "agent_offline")):
        await alert.alerts.RaiseOrTouch(
            alert_service_pb2.RaiseOrTouchRequest(
                host_id=host_id, kind=kind, severity=alert_pb2.SEVERITY_CRITICAL
            )
        )

    etc, home = await protections(alert)

    assert ["agent_offline"] == [each.kind for each in home.open_alerts]
    assert ["agent_offline", "backup_failed"] == [each.kind for each in etc.open_alerts], (
        "the worst first"
    )
    assert {"nas"} == {each.host_id for each in [*home.open_alerts, *etc.open_alerts]}


async def test_protection_comes_in_pages_of_all_hosts_or_of_one_without_what_is_retired(
    alert: RunningAlert,
) -> None:
    for group, host_id in (("e", "nas"), ("b", "web"), ("d", "nas"), ("a", "nas"), ("c", "web")):
        await put_group(alert, group, host_id)
    await alert.backups.RetireSourceGroup(pb.RetireSourceGroupRequest(source_group_id="d"))

    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        answer = await alert.backups.GetProtection(
            pb.GetProtectionRequest(page_size=2, page_token=token)
        )
        pages.append([each.source_group.source_group_id for each in answer.protections])
        token = answer.next_page_token

    assert [["a", "b"], ["c", "e"]] == pages
    of_web = await protections(alert, host_id="web")
    assert ["b", "c"] == [each.source_group.source_group_id for each in of_web]
