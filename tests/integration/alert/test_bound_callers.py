"""Callers that are bound to hosts, and what lies on other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.alert import running_alert
from support.identity import Credentials, bearing
from tocsin.api.alert.v1 import backup_pb2 as types_pb
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.common.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock

pytestmark = pytest.mark.postgres


class Hosts:
    """A server, and three callers: web-1 and web-2 each for itself, and an operator."""

    def __init__(self, backups: Any, tokens: dict[str, str]) -> None:
        self._backups = backups
        self._tokens = tokens
        self._count = 0

    async def report(self, host: str, *, group: str = "", schedule: str = "") -> None:
        """Report as a host that a backup of it has failed."""
        self._count += 1
        request = pb.ReportJobFinishedRequest(
            job_id=f"job-{self._count}",
            host_id=host,
            kind=types_pb.JOB_KIND_BACKUP,
            source_group_id=group,
            schedule_id=schedule,
            result=types_pb.JOB_RESULT_FAILED,
        )
        await self._backups.ReportJobFinished(request, metadata=bearing(self._tokens[host]))

    async def put_group(self, caller: str, group: str, host: str) -> None:
        request = pb.PutSourceGroupRequest(source_group_id=group, host_id=host)
        await self._backups.PutSourceGroup(request, metadata=bearing(self._tokens[caller]))

    async def put_schedule(self, caller: str, schedule: str, host: str) -> None:
        request = pb.PutScheduleRequest(
            schedule_id=schedule,
            host_id=host,
            job_kind=types_pb.JOB_KIND_BACKUP,
            recurrence=types_pb.Recurrence(cron="0 2 * * *", time_zone="UTC"),
        )
        await self._backups.PutSchedule(request, metadata=bearing(self._tokens[caller]))


@pytest.fixture
async def hosts(alert_url: str, clock: ManualClock) -> AsyncIterator[Hosts]:
    credentials = Credentials(alert_url)
    tokens = {
        host: await credentials.token(Role.ORCHESTRATOR, name=f"{host}-agent", hosts=[host])
        for host in ("web-1", "web-2")
    }
    tokens["ops"] = await credentials.token(Role.OPERATOR, name="ops")
    async with running_alert(alert_url, clock=clock, insecure_dev=False) as alert:
        yield Hosts(alert.backups, tokens)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await call
    return told.value.code(), told.value.details() or ""


async def test_a_bound_caller_cannot_take_a_source_group_that_another_host_reports_under(
    hosts: Hosts,
) -> None:
    await hosts.report("web-2", group="home")

    code, said = await refused(hosts.put_group("web-1", "home", "web-1"))

    assert (grpc.StatusCode.PERMISSION_DENIED, True) == (
        code,
        said.startswith("Another host reports under the source group 'home'"),
    )
    assert "let an operator put this one" in said
    await hosts.report("web-2", group="home")


async def test_a_bound_caller_cannot_take_a_schedule_that_another_host_reports_under(
    hosts: Hosts,
) -> None:
    await hosts.report("web-2", schedule="nightly")

    code, said = await refused(hosts.put_schedule("web-1", "nightly", "web-1"))

    assert (grpc.StatusCode.PERMISSION_DENIED, True) == (
        code,
        said.startswith("Another host reports under the schedule 'nightly'"),
    )
    await hosts.report("web-2", schedule="nightly")


async def test_it_puts_what_only_its_own_host_reports_under_and_puts_it_again(
    hosts: Hosts,
) -> None:
    await hosts.report("web-1", group="home", schedule="nightly")
    await hosts.report("web-2", group="other", schedule="hourly")

    for _ in range(2):
        await hosts.put_group("web-1", "home", "web-1")
        await hosts.put_schedule("web-1", "nightly", "web-1")

    await hosts.put_group("web-2", "other", "web-2")
    await hosts.put_schedule("web-2", "hourly", "web-2")


async def test_an_operator_may_put_what_two_hosts_report_under_and_its_host_keeps_it(
    hosts: Hosts,
) -> None:
    for host in ("web-1", "web-2"):
        await hosts.report(host, group="home", schedule="nightly")
    await hosts.put_group("ops", "home", "web-1")
    await hosts.put_schedule("ops", "nightly", "web-1")

    await hosts.put_group("web-1", "home", "web-1")
    await hosts.put_schedule("web-1", "nightly", "web-1")

    code, said = await refused(hosts.report("web-2", group="home"))
    assert (grpc.StatusCode.INVALID_ARGUMENT, True) == (code, "lies on another host" in said)


async def test_a_bound_caller_is_not_told_on_which_other_host_an_id_lies(hosts: Hosts) -> None:
    await hosts.put_group("web-2", "home", "web-2")
    await hosts.put_schedule("web-2", "nightly", "web-2")

    refusals = [
        await refused(hosts.report("web-1", group="home")),
        await refused(hosts.report("web-1", schedule="nightly")),
        await refused(hosts.put_group("web-1", "home", "web-1")),
        await refused(hosts.put_schedule("web-1", "nightly", "web-1")),
    ]

    assert {grpc.StatusCode.INVALID_ARGUMENT} == {code for code, _ in refusals}
    assert [] == [said for _, said in refusals if "web-2" in said or "another host" not in said]
