"""Who is let in by tocsin-alert: every method that it registers, with every credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from support.access_walk import about_host, let_in, let_in_by_role, listed_by_role, unproven
from support.alert import running_alert
from support.half_calls import half_calls
from support.identity import Credentials, bearing, code_of_call
from support.registered import registered_methods
from support.waiting import eventually
from tocsin.alert.rpc.access import RULES
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import backup_service_pb2 as backup_pb
from tocsin.common.identity.identity_rules import IDENTITY_RULES
from tocsin.common.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.alert import RunningAlert

pytestmark = pytest.mark.postgres

TABLE = {**RULES, **IDENTITY_RULES}
HEALTH = {method for method in TABLE if method.startswith("/grpc.health.")}
# These take many hosts, and refuse each by itself.
EACH_BY_ITSELF = {
    "/tocsin.api.alert.v1.AlertService/BatchRaiseOrTouch",
    "/tocsin.api.alert.v1.BackupService/Heartbeats",
}


@pytest.fixture
async def admitted(alert_url: str) -> Credentials:
    credentials = Credentials(alert_url)
    await credentials.token(Role.ADMIN, name="first")
    return credentials


@pytest.fixture
async def alert(admitted: Credentials) -> AsyncIterator[RunningAlert]:
    async with running_alert(
        admitted.url, insecure_dev=False, max_calls_per_second=0, max_streams_per_caller=0
    ) as running:
        yield running


async def refreshed(alert: RunningAlert) -> RunningAlert:
    await alert.app._security._watch.refresh()
    return alert


async def test_every_registered_method_is_in_the_table_and_nothing_else(
    admitted: Credentials,
) -> None:
    with registered_methods() as registered:
        async with running_alert(admitted.url, insecure_dev=False):
            pass

    assert set(TABLE) == registered


async def test_without_a_valid_credential_only_health_is_told(
    alert: RunningAlert, admitted: Credentials
) -> None:
    tried = await unproven(admitted)
    await refreshed(alert)

    for lacking, metadata in tried.items():
        assert (lacking, HEALTH) == (lacking, await let_in(alert.channel, TABLE, metadata))


async def test_each_role_opens_what_the_table_gives_it_and_nothing_else(
    alert: RunningAlert, admitted: Credentials
) -> None:
    refresh = alert.app._security._watch.refresh
    opened = await let_in_by_role(alert.channel, TABLE, admitted, refresh)

    assert listed_by_role(TABLE, TABLE) == opened


async def test_a_method_that_is_not_in_the_table_is_for_nobody(
    admitted: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = "/tocsin.api.alert.v1.AlertService/ListAlerts"
    monkeypatch.delitem(RULES, method)
    admin = bearing(await admitted.token(Role.ADMIN, name="root"))
    async with running_alert(admitted.url, insecure_dev=False) as alert:
        code, said = await code_of_call(alert.channel, method, metadata=admin)

    assert (grpc.StatusCode.PERMISSION_DENIED, True) == (code, "in no rule" in said)


async def test_a_token_that_is_not_for_a_method_has_no_request_read(
    alert: RunningAlert, admitted: Credentials
) -> None:
    """Else 4 MiB for each of its calls would fill the memory, before anybody looks at the role."""
    reads = bearing(await admitted.token(Role.SUBSCRIBER, name="reads"))
    bound = bearing(await admitted.token(Role.SUBSCRIBER, name="bound", hosts=["web-1"]))
    reports = bearing(await admitted.token(Role.ORCHESTRATOR, name="reports"))
    await refreshed(alert)
    raises = "/tocsin.api.alert.v1.AlertService/RaiseOrTouch"
    lists = "/tocsin.api.alert.v1.AlertService/ListAlerts"

    async with half_calls(alert.app.port) as calls:
        read = [await calls.begin(raises, *reports), await calls.begin(lists, *reads)]
        unread = [await calls.begin(raises, *reads), await calls.begin(lists, *bound)]
        await eventually(lambda: calls.ended >= set(unread))

        assert calls.ended.isdisjoint(read)


async def test_a_caller_bound_to_a_host_speaks_of_no_other(
    alert: RunningAlert, admitted: Credentials
) -> None:
    token = await admitted.token(Role.ORCHESTRATOR, name="agent", hosts=["web-1"])
    await refreshed(alert)

    for method in sorted(RULES.keys() - EACH_BY_ITSELF):
        code, said = await code_of_call(
            alert.channel, method, metadata=bearing(token), request=about_host(method, "db-1")
        )
        assert (method, grpc.StatusCode.PERMISSION_DENIED) == (method, code), said
    own = "/tocsin.api.alert.v1.BackupService/ReportHeartbeat"
    assert (grpc.StatusCode.OK, "") == await code_of_call(
        alert.channel, own, metadata=bearing(token), request=about_host(own, "web-1")
    )


async def test_of_a_batch_only_what_is_about_another_host_is_refused(
    alert: RunningAlert, admitted: Credentials
) -> None:
    token = await admitted.token(Role.ORCHESTRATOR, name="agent", hosts=["web-1"])
    await refreshed(alert)
    raises = [pb.RaiseOrTouchRequest(host_id=h, kind="check_failed") for h in ("web-1", "db-1")]

    answer = await alert.alerts.BatchRaiseOrTouch(
        pb.BatchRaiseOrTouchRequest(requests=raises), metadata=bearing(token)
    )

    first, second = answer.results
    assert "agent" not in first.response.alert.acknowledged_by
    assert pb.RAISE_OUTCOME_RAISED == first.response.outcome
    assert grpc.StatusCode.PERMISSION_DENIED.value[0] == second.error.code
    assert "db-1" in second.error.message


async def test_of_heartbeats_only_those_of_another_host_are_refused(
    alert: RunningAlert, admitted: Credentials
) -> None:
    token = await admitted.token(Role.ORCHESTRATOR, name="agent", hosts=["web-1"])
    await refreshed(alert)
    beats = [backup_pb.ReportHeartbeatRequest(host_id=host) for host in ("web-1", "db-1")]

    answer = await alert.backups.Heartbeats(
        iter([backup_pb.HeartbeatsRequest(heartbeats=beats)]), metadata=bearing(token)
    )

    assert (1, 1) == (answer.accepted_count, answer.refused_count)
    assert "db-1" in answer.first_refusal
