"""Lists and timelines, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.alert import RunningAlert, running_alert
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.error_reason_pb2 import ErrorReason
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = alert_pb2.ALERT_STATUS_OPEN
ACKNOWLEDGED = alert_pb2.ALERT_STATUS_ACKNOWLEDGED
RESOLVED = alert_pb2.ALERT_STATUS_RESOLVED
CRITICAL = alert_pb2.SEVERITY_CRITICAL


@pytest.fixture
async def alert(alert_url: str, clock: ManualClock) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url, clock=clock) as running:
        yield running


async def fail(alert: RunningAlert, number: int = 0, **fields: Any) -> alert_pb2.Alert:
    """Raise an alert of one host, `number` minutes ago."""
    request = pb.RaiseOrTouchRequest(
        **{"host_id": "nas", "kind": "backup_failed", "dedup_key": str(number), **fields},
        observe_time=to_timestamp(NOW - timedelta(minutes=number)),
    )
    return (await alert.alerts.RaiseOrTouch(request)).alert


async def listed(alert: RunningAlert, **fields: Any) -> list[str]:
    answer = await alert.alerts.ListAlerts(pb.ListAlertsRequest(**fields))
    return [each.dedup_key for each in answer.alerts]


async def all_pages(alert: RunningAlert, **fields: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        request = pb.ListAlertsRequest(**fields, page_token=token)
        answer = await alert.alerts.ListAlerts(request)
        pages.append([each.dedup_key for each in answer.alerts])
        token = answer.next_page_token
    return pages


async def test_alerts_come_latest_raised_first_and_every_one_once(alert: RunningAlert) -> None:
    for number in (3, 0, 4, 1, 2):
        await fail(alert, number)

    assert [["0", "1"], ["2", "3"], ["4"]] == await all_pages(alert, page_size=2)
    assert [["0", "1", "2", "3", "4"]] == await all_pages(alert, page_size=5)


async def test_alerts_raised_at_the_same_moment_are_not_lost_between_pages(
    alert: RunningAlert,
) -> None:
    for number in range(5):
        await fail(alert, 0, dedup_key=str(number))

    pages = await all_pages(alert, page_size=2)

    assert [2, 2, 1] == [len(page) for page in pages]
    assert {"0", "1", "2", "3", "4"} == {key for page in pages for key in page}


async def test_what_is_raised_between_two_pages_does_not_shift_them(alert: RunningAlert) -> None:
    for number in (1, 2, 3):
        await fail(alert, number)
    first = await alert.alerts.ListAlerts(pb.ListAlertsRequest(page_size=1))

    await fail(alert, 0)

    assert ["2", "3"] == await listed(alert, page_token=first.next_page_token)


async def test_only_alerts_that_stand_are_listed_unless_asked_otherwise(
    alert: RunningAlert,
) -> None:
    await fail(alert, 0)
    acknowledged = await fail(alert, 1)
    resolved = await fail(alert, 2)
    await alert.alerts.Acknowledge(pb.AcknowledgeRequest(alert_id=acknowledged.alert_id))
    await alert.alerts.Resolve(pb.ResolveRequest(alert_id=resolved.alert_id))

    assert ["0", "1"] == await listed(alert)
    assert ["0"] == await listed(alert, statuses=[OPEN])
    assert ["1"] == await listed(alert, statuses=[ACKNOWLEDGED])
    assert ["2"] == await listed(alert, statuses=[RESOLVED])
    assert ["0", "1", "2"] == await listed(alert, statuses=[OPEN, ACKNOWLEDGED, RESOLVED])


async def test_every_filter_must_hold(alert: RunningAlert) -> None:
    await fail(alert, 0)
    await fail(alert, 1, host_id="mail")
    await fail(alert, 2, kind="check_failed", severity=CRITICAL)

    assert ["1"] == await listed(alert, host_ids=["mail", "none"])
    assert ["2"] == await listed(alert, kinds=["check_failed"])
    assert ["2"] == await listed(alert, min_severity=CRITICAL)
    assert ["0", "2"] == await listed(alert, host_ids=["nas"])
    assert [] == await listed(alert, host_ids=["mail"], min_severity=CRITICAL)


async def test_an_empty_list_has_a_position_to_watch_from(alert: RunningAlert) -> None:
    answer = await alert.alerts.ListAlerts(pb.ListAlertsRequest())

    assert 0 == answer.position.revision
    assert "" != answer.position.epoch


async def test_watching_from_the_position_of_a_list_tells_all_that_came_after(
    alert: RunningAlert,
) -> None:
    await fail(alert, 0)
    position = (await alert.alerts.ListAlerts(pb.ListAlertsRequest())).position
    later = await fail(alert, 1)

    watch = alert.alerts.WatchEvents(pb.WatchEventsRequest(after=position))
    heard: Any = await watch.read()
    watch.cancel()

    assert 1 == position.revision
    assert [(2, later)] == [(event.position.revision, event.alert) for event in heard.events]


async def test_a_page_stays_below_what_a_client_takes(alert: RunningAlert) -> None:
    text = "ж" * 8000
    labels = {f"label-{n}": "ж" * 256 for n in range(32)}
    for start in range(0, 150, 50):
        batch = [
            pb.RaiseOrTouchRequest(
                host_id="nas", kind="k", dedup_key=str(start + n), message=text, labels=labels
            )
            for n in range(50)
        ]
        await alert.alerts.BatchRaiseOrTouch(pb.BatchRaiseOrTouchRequest(requests=batch))

    first = await alert.alerts.ListAlerts(pb.ListAlertsRequest(page_size=1000))
    rest = pb.ListAlertsRequest(page_size=1000, page_token=first.next_page_token)
    second = await alert.alerts.ListAlerts(rest)

    assert first.ByteSize() < 4 << 20
    assert 150 == len({each.alert_id for each in [*first.alerts, *second.alerts]})
    assert "" == second.next_page_token


async def test_a_timeline_comes_oldest_first_in_pages(alert: RunningAlert) -> None:
    raised = await fail(alert)
    await alert.alerts.Acknowledge(pb.AcknowledgeRequest(alert_id=raised.alert_id, note="mine"))
    await alert.alerts.Resolve(
        pb.ResolveRequest(alert_id=raised.alert_id, note="done", on_behalf_of="ada")
    )

    request = pb.ListAlertEventsRequest(alert_id=raised.alert_id, page_size=2)
    first = await alert.alerts.ListAlertEvents(request)
    request.page_token = first.next_page_token
    second = await alert.alerts.ListAlertEvents(request)

    assert [event_pb2.ALERT_EVENT_TYPE_RAISED, event_pb2.ALERT_EVENT_TYPE_ACKNOWLEDGED] == [
        event.type for event in first.events
    ]
    (last,) = second.events
    assert (event_pb2.ALERT_EVENT_TYPE_RESOLVED, "done", "anonymous", "ada") == (
        last.type,
        last.note,
        last.actor,
        last.on_behalf_of,
    )
    assert ([1, 2, 3], "") == (
        [event.position.revision for event in [*first.events, last]],
        second.next_page_token,
    )


async def test_each_item_of_a_batch_stands_alone(alert: RunningAlert) -> None:
    good = pb.RaiseOrTouchRequest(host_id="nas", kind="backup_failed", dedup_key="a")
    wrong: dict[str, Any] = {"kind": "No", "severity": 9}
    bad = pb.RaiseOrTouchRequest(**wrong)
    reused = pb.RaiseOrTouchRequest(
        host_id="nas", kind="backup_failed", dedup_key="b", request_id="r-1"
    )
    other = pb.RaiseOrTouchRequest(
        host_id="nas", kind="backup_failed", dedup_key="c", request_id="r-1"
    )

    batch = pb.BatchRaiseOrTouchRequest(requests=[good, bad, good, reused, other])
    results = (await alert.alerts.BatchRaiseOrTouch(batch)).results

    assert ["response", "error", "response", "response", "error"] == [
        result.WhichOneof("result") for result in results
    ]
    assert pb.RAISE_OUTCOME_RAISED == results[0].response.outcome
    assert pb.RAISE_OUTCOME_TOUCHED == results[2].response.outcome
    refused = results[1].error
    assert (3, "ERROR_REASON_INVALID_FIELD") == (refused.code, reason(refused))
    assert ["host_id", "kind", "severity"] == [v.field for v in refused.field_violations]
    assert (3, "ERROR_REASON_REQUEST_ID_REUSED") == (
        results[4].error.code,
        reason(results[4].error),
    )


async def test_a_request_of_a_batch_is_a_repetition_of_the_same_request_alone(
    alert: RunningAlert,
) -> None:
    request = pb.RaiseOrTouchRequest(host_id="nas", kind="backup_failed", request_id="r-1")
    alone = await alert.alerts.RaiseOrTouch(request)

    batch = pb.BatchRaiseOrTouchRequest(requests=[request])
    (result,) = (await alert.alerts.BatchRaiseOrTouch(batch)).results

    assert (alone.alert, True) == (result.response.alert, result.response.replayed)


def reason(error: pb.ItemError) -> str:
    return ErrorReason.Name(error.reason)
