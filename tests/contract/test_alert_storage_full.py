"""The row of the table that no other test brings about: the database has no room left."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from support.refusals import refusal_of
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import backup_service_pb2 as hosts_pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.alert import RunningAlert
    from support.clock import ManualClock

pytestmark = pytest.mark.postgres

NAS = pb.RaiseOrTouchRequest(host_id="nas", kind="backup_failed", request_id="r-nas")
WEB = pb.RaiseOrTouchRequest(host_id="web", kind="backup_failed", request_id="r-web")
FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")


@asynccontextmanager
async def no_room_in(url: str, table: str) -> AsyncIterator[None]:
    """Let every write to a table fail as it does on a full disk (SQLSTATE 53100)."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        f"""
        CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100';
        END $$;
        CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION no_room();
        """
    )
    try:
        yield
    finally:
        await connection.execute("DROP FUNCTION no_room CASCADE")
        await connection.close()


async def kept(alert: RunningAlert) -> Any:
    """All that callers can see: the alerts, and where the log stands."""
    return await alert.alerts.ListAlerts(pb.ListAlertsRequest())


@pytest.mark.parametrize("table", ["alerts", "alert_keys", "events", "requests"])
async def test_a_full_disk_is_resource_exhausted_changes_nothing_and_is_over_once_there_is_room(
    alert: RunningAlert, alert_url: str, table: str
) -> None:
    first = (await alert.alerts.RaiseOrTouch(NAS)).alert
    before = await kept(alert)

    async with no_room_in(alert_url, table):
        for _ in range(2):
            refusal = await refusal_of(alert.alerts.RaiseOrTouch(WEB))
            assert FULL == (refusal.code, refusal.reason)
            assert "nothing was changed" in refusal.message
        assert before == await kept(alert)
        read = await alert.alerts.GetAlert(pb.GetAlertRequest(alert_id=first.alert_id))
        assert first == read.alert

    answer = await alert.alerts.RaiseOrTouch(WEB)
    assert (pb.RAISE_OUTCOME_RAISED, False) == (answer.outcome, answer.replayed)
    after = await kept(alert)
    assert before.position.revision + 1 == after.position.revision
    assert [answer.alert, *before.alerts] == list(after.alerts)


async def test_on_a_full_disk_every_change_is_refused_and_streams_go_on(
    alert: RunningAlert, alert_url: str, clock: ManualClock
) -> None:
    raised = (await alert.alerts.RaiseOrTouch(NAS)).alert
    clock.advance(seconds=1)  # a success at the very time of the failure would change nothing
    watch = alert.alerts.WatchEvents(pb.WatchEventsRequest())
    await watch.read()

    async with no_room_in(alert_url, "alerts"):
        changes: list[Any] = [
            alert.alerts.RaiseOrTouch(pb.RaiseOrTouchRequest(host_id="nas", kind="backup_failed")),
            alert.alerts.BatchRaiseOrTouch(pb.BatchRaiseOrTouchRequest(requests=[WEB])),
            alert.alerts.AutoResolve(pb.AutoResolveRequest(host_id="nas", kind="backup_failed")),
            alert.alerts.Acknowledge(pb.AcknowledgeRequest(alert_id=raised.alert_id)),
            alert.alerts.Resolve(pb.ResolveRequest(alert_id=raised.alert_id)),
        ]
        for change in changes:
            refusal = await refusal_of(change)
            assert FULL == (refusal.code, refusal.reason)
    async with no_room_in(alert_url, "hosts"):
        refusal = await refusal_of(alert.backups.PutHost(hosts_pb.PutHostRequest(host_id="nas")))
        assert FULL == (refusal.code, refusal.reason)

    resolved = await alert.alerts.Resolve(pb.ResolveRequest(alert_id=raised.alert_id))
    async with asyncio.timeout(30):
        heard: Any = await watch.read()
    assert [resolved.alert] == [event.alert for event in heard.events]
    watch.cancel()
