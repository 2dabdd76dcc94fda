"""Bad input: each with a clear error that names the field, and nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from support.refusals import assert_told, refusal_of
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import event_pb2
from tocsin.common.rpc.pages import page_token

if TYPE_CHECKING:
    from support.alert import RunningAlert

pytestmark = pytest.mark.postgres

ID = "0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a"
KEY: dict[str, Any] = {"host_id": "nas", "kind": "backup_failed"}
YEAR_0 = Timestamp(seconds=-62_135_596_801)
YEAR_1 = Timestamp(seconds=-62_135_596_800)
YEAR_9999 = Timestamp(seconds=253_402_300_799, nanos=999_999_999)
YEAR_10000 = Timestamp(seconds=253_402_300_800)

BAD_OBSERVATIONS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"host_id": ""}, {"host_id": "must not be empty; write 1 to 256 characters"}),
    ({"host_id": "x" * 257}, {"host_id": "has 257 characters; write 1 to 256 characters"}),
    ({"host_id": "a\0b"}, {"host_id": "holds a NUL character (U+0000); leave it out"}),
    ({"kind": ""}, {"kind": "must not be empty; write 1 to 63 characters"}),
    ({"kind": "Backup"}, {"kind": "'Backup' is not a kind; write 1 to 63 characters"}),
    ({"kind": "backup-failed"}, {"kind": "'backup-failed' is not a kind"}),
    ({"kind": "k" * 64}, {"kind": "is not a kind"}),
    ({"kind": "ok\n"}, {"kind": "is not a kind"}),
    ({"dedup_key": "x" * 257}, {"dedup_key": "has 257 characters; write at most 256 characters"}),
    ({"message": "a\0b"}, {"message": "holds a NUL character (U+0000); leave it out"}),
    ({"request_id": "x" * 129}, {"request_id": "has 129 characters; write at most 128"}),
    ({"request_id": "\0"}, {"request_id": "NUL"}),
    ({"observe_time": YEAR_0}, {"observe_time": "must lie in the years 1 to 9999"}),
    ({"observe_time": YEAR_10000}, {"observe_time": "must lie in the years 1 to 9999"}),
    ({"observe_time": Timestamp(nanos=-1)}, {"observe_time": "must have nanos from 0 to"}),
]

BAD_RAISES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"cause": "x" * 257}, {"cause": "has 257 characters; write at most 256 characters"}),
    ({"severity": 9}, {"severity": "has no value 9; write one of SEVERITY_INFO, SEVERITY_WARNING"}),
    ({"severity": -1}, {"severity": "has no value -1; write one of SEVERITY_INFO"}),
    ({"labels": {"": "v"}}, {"labels[]": "has a name of 0 characters; write 1 to 64"}),
    ({"labels": {"disk": "\0"}}, {"labels[disk]": "holds a NUL character"}),
    ({"labels": {f"l{n}": "" for n in range(33)}}, {"labels": "has 33 labels; write at most 32"}),
    (
        {"host_id": "", "kind": "", "severity": 7, "labels": {"a": "x" * 257}},
        {"host_id": "empty", "kind": "empty", "severity": "no value 7", "labels[a]": "257"},
    ),
]

BAD_ACTS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"alert_id": ""}, {"alert_id": "must not be empty; write one such as"}),
    ({"alert_id": "7"}, {"alert_id": "'7' is not a UUID; write one such as"}),
    ({"note": "x" * 4097}, {"note": "has 4,097 characters; write at most 4,096 characters"}),
    ({"note": "\0"}, {"note": "NUL"}),
    ({"on_behalf_of": "x" * 257}, {"on_behalf_of": "has 257 characters"}),
    ({"request_id": "x" * 129}, {"request_id": "has 129 characters"}),
]

BAD_EXPIRIES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"expire_time": YEAR_1}, {"expire_time": "is not in the future; write a later time"}),
    ({"expire_time": YEAR_9999}, {"expire_time": "is more than 366 days ahead"}),
    ({"expire_time": YEAR_10000}, {"expire_time": "must lie in the years 1 to 9999"}),
]

BAD_LISTS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"statuses": [0]}, {"statuses": "has no value 0; write one of ALERT_STATUS_OPEN"}),
    ({"statuses": [1, 44]}, {"statuses": "has no value 44"}),
    ({"host_ids": ["a", ""]}, {"host_ids[1]": "must not be empty"}),
    ({"host_ids": ["a"] * 101}, {"host_ids": "has 101 entries; write at most 100"}),
    ({"kinds": ["NO"]}, {"kinds[0]": "'NO' is not a kind"}),
    ({"kinds": ["a"] * 101}, {"kinds": "has 101 entries; write at most 100"}),
    ({"min_severity": 4}, {"min_severity": "has no value 4"}),
    ({"page_size": -1}, {"page_size": "is -1; write 1 to 1,000, or 0 for 100"}),
    ({"page_token": "2"}, {"page_token": "is not a token that this list gave"}),
    (
        {"page_token": page_token(b"ListAlerts", ("2026-01-01T00:00:00+00:00", "not-a-uuid"))},
        {"page_token": "is not a token that this list gave"},
    ),
]

BAD_WATCHES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"types": [8]}, {"types": "has no value 8; write one of ALERT_EVENT_TYPE_RAISED"}),
    (
        {"after": event_pb2.Position(epoch=ID, revision=-1)},
        {"after.revision": "is -1; write 0 or more"},
    ),
    ({"after": event_pb2.Position(revision=3)}, {"after.epoch": "must not be empty"}),
    ({"after": event_pb2.Position(epoch="x")}, {"after.epoch": "'x' is not a UUID"}),
    (
        {"snapshot": True, "after": event_pb2.Position()},
        {"after": "must be unset with snapshot"},
    ),
    ({"kinds": ["NO"]}, {"kinds[0]": "'NO' is not a kind"}),
]


async def assert_nothing_was_written(alert: RunningAlert) -> None:
    answer = await alert.alerts.ListAlerts(pb.ListAlertsRequest())
    assert (0, []) == (answer.position.revision, list(answer.alerts))


async def test_a_bad_report_of_a_failure_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in [*BAD_OBSERVATIONS, *BAD_RAISES]:
        request = pb.RaiseOrTouchRequest(**{**KEY, **fields})
        assert_told(expected, await refusal_of(alert.alerts.RaiseOrTouch(request)))
    await assert_nothing_was_written(alert)


async def test_a_bad_report_of_a_success_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in BAD_OBSERVATIONS:
        request = pb.AutoResolveRequest(**{**KEY, **fields})
        assert_told(expected, await refusal_of(alert.alerts.AutoResolve(request)))
    await assert_nothing_was_written(alert)


async def test_a_bad_act_of_a_person_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in [*BAD_ACTS, *BAD_EXPIRIES]:
        request = pb.AcknowledgeRequest(**{"alert_id": ID, **fields})
        assert_told(expected, await refusal_of(alert.alerts.Acknowledge(request)))
    for fields, expected in BAD_ACTS:
        to_resolve = pb.ResolveRequest(**{"alert_id": ID, **fields})
        assert_told(expected, await refusal_of(alert.alerts.Resolve(to_resolve)))


async def test_a_bad_question_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in BAD_LISTS:
        request = pb.ListAlertsRequest(**fields)
        assert_told(expected, await refusal_of(alert.alerts.ListAlerts(request)))
    by_id = {"alert_id": "is not a UUID"}
    assert_told(by_id, await refusal_of(alert.alerts.GetAlert(pb.GetAlertRequest(alert_id="?"))))
    both = pb.ListAlertEventsRequest(alert_id="?", page_token="?", page_size=-5)
    assert_told(
        {"alert_id": "is not a UUID", "page_token": "is not a token", "page_size": "is -5"},
        await refusal_of(alert.alerts.ListAlertEvents(both)),
    )


async def test_a_bad_watch_is_told_field_by_field(alert: RunningAlert) -> None:
    for fields, expected in BAD_WATCHES:
        call = alert.alerts.WatchEvents(pb.WatchEventsRequest(**fields))
        assert_told(expected, await refusal_of(call.read()))


async def test_a_batch_of_none_or_too_many_is_refused_as_a_whole(alert: RunningAlert) -> None:
    for count, said in [(0, "has 0 entries"), (1001, "has 1,001 entries")]:
        batch = pb.BatchRaiseOrTouchRequest(requests=[pb.RaiseOrTouchRequest(**KEY)] * count)
        refusal = await refusal_of(alert.alerts.BatchRaiseOrTouch(batch))
        assert_told({"requests": f"{said}; write 1 to 1,000"}, refusal)
    await assert_nothing_was_written(alert)


async def test_the_times_at_both_ends_of_the_calendar_are_taken(alert: RunningAlert) -> None:
    first = pb.RaiseOrTouchRequest(**KEY, observe_time=YEAR_1)
    last = pb.RaiseOrTouchRequest(**KEY, observe_time=YEAR_9999)

    raised = (await alert.alerts.RaiseOrTouch(first)).alert
    touched = (await alert.alerts.RaiseOrTouch(last)).alert
    listed = (await alert.alerts.ListAlerts(pb.ListAlertsRequest())).alerts

    assert 1 == raised.raise_time.ToDatetime().year
    assert 2026 == touched.last_seen_time.ToDatetime().year, "clamped to the server's clock"
    assert [touched] == list(listed)


async def test_text_that_is_not_utf_8_is_refused_on_the_wire(alert: RunningAlert) -> None:
    call: Any = alert.channel.unary_unary("/tocsin.api.alert.v1.AlertService/RaiseOrTouch")

    refusal = await refusal_of(call(b"\x0a\x02\xff\xfe\x12\x01k"))

    assert_told({"request": "holds text that is not valid UTF-8"}, refusal)
    await assert_nothing_was_written(alert)


async def test_a_message_of_5_mib_is_refused_and_the_connection_lives_on(
    alert: RunningAlert,
) -> None:
    request = pb.RaiseOrTouchRequest(**KEY, message="x" * (5 << 20))

    refusal = await refusal_of(alert.alerts.RaiseOrTouch(request))

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is refusal.code
    assert "larger than max" in refusal.message
    await assert_nothing_was_written(alert)


async def test_a_position_of_another_epoch_is_refused_with_the_present_one(
    alert: RunningAlert,
) -> None:
    epoch = (await alert.alerts.ListAlerts(pb.ListAlertsRequest())).position.epoch
    after = event_pb2.Position(epoch=ID, revision=0)

    call = alert.alerts.WatchEvents(pb.WatchEventsRequest(after=after))
    refusal = await refusal_of(call.read())

    assert (grpc.StatusCode.FAILED_PRECONDITION, "EPOCH_CHANGED") == (
        refusal.code,
        refusal.reason,
    )
    assert epoch == refusal.metadata["epoch"]


async def test_a_page_token_of_other_filters_is_refused(alert: RunningAlert) -> None:
    for dedup_key in ("a", "b"):
        await alert.alerts.RaiseOrTouch(pb.RaiseOrTouchRequest(**KEY, dedup_key=dedup_key))
    first = await alert.alerts.ListAlerts(pb.ListAlertsRequest(page_size=1))
    token = first.next_page_token

    kept = await alert.alerts.ListAlerts(pb.ListAlertsRequest(page_size=7, page_token=token))
    other = pb.ListAlertsRequest(kinds=["backup_failed"], page_token=token)
    refusal = await refusal_of(alert.alerts.ListAlerts(other))

    assert 1 == len(kept.alerts), "the size of a page may change"
    assert_told({"page_token": "is not a token that this list gave"}, refusal)
