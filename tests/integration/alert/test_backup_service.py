"""The registry of hosts, over a real connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from support.alert import RunningAlert, running_alert
from support.refusals import refusal_of
from tocsin.api.alert.v1 import alert_service_pb2
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.api.alert.v1 import backup_pb2

pytestmark = pytest.mark.postgres


@pytest.fixture
async def alert(alert_url: str, clock: ManualClock) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url, clock=clock) as running:
        yield running


async def put(
    alert: RunningAlert, host_id: str, name: str = "", labels: dict[str, str] | None = None
) -> backup_pb2.Host:
    request = pb.PutHostRequest(host_id=host_id, name=name, labels=labels)
    return (await alert.backups.PutHost(request)).host


async def get(alert: RunningAlert, host_id: str) -> backup_pb2.Host:
    return (await alert.backups.GetHost(pb.GetHostRequest(host_id=host_id))).host


async def test_a_host_is_read_as_it_was_put(alert: RunningAlert, clock: ManualClock) -> None:
    host = await put(alert, "nas", "The NAS", {"site": "attic"})

    assert ("nas", "The NAS", {"site": "attic"}) == (host.host_id, host.name, dict(host.labels))
    assert to_timestamp(clock.now()) == host.create_time == host.update_time
    assert host == await get(alert, "nas")


async def test_putting_the_same_again_changes_nothing_not_even_the_update_time(
    alert: RunningAlert, clock: ManualClock
) -> None:
    first = await put(alert, "nas", "The NAS", {"a": "1", "b": "2"})
    clock.advance(seconds=60)

    assert first == await put(alert, "nas", "The NAS", {"b": "2", "a": "1"})


async def test_a_host_is_written_whole(alert: RunningAlert, clock: ManualClock) -> None:
    first = await put(alert, "nas", "The NAS", {"site": "attic"})
    later = clock.advance(seconds=60)

    second = await put(alert, "nas", "NAS")

    assert ("NAS", {}) == (second.name, dict(second.labels))
    assert (first.create_time, to_timestamp(later)) == (second.create_time, second.update_time)


async def test_a_host_that_was_never_put_is_not_found(alert: RunningAlert) -> None:
    refusal = await refusal_of(get(alert, "nas"))

    assert (grpc.StatusCode.NOT_FOUND, "HOST_NOT_FOUND") == (refusal.code, refusal.reason)


async def test_hosts_are_listed_by_their_ids_in_pages(alert: RunningAlert) -> None:
    for host_id in ("c", "a", "e", "b", "d"):
        await put(alert, host_id)

    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        answer = await alert.backups.ListHosts(pb.ListHostsRequest(page_size=2, page_token=token))
        pages.append([host.host_id for host in answer.hosts])
        token = answer.next_page_token

    assert [["a", "b"], ["c", "d"], ["e"]] == pages


async def test_alerts_bear_the_name_of_their_host_once_it_is_put(alert: RunningAlert) -> None:
    failure = alert_service_pb2.RaiseOrTouchRequest(host_id="nas", kind="backup_failed")
    before = (await alert.alerts.RaiseOrTouch(failure)).alert.host_name
    await put(alert, "nas", "The NAS")

    after = (await alert.alerts.RaiseOrTouch(failure)).alert.host_name

    assert ("nas", "The NAS") == (before, after)
