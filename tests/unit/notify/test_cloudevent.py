"""The body of a webhook: a contract with receivers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from support.notifications import ALERT, AT, a_notification
from tocsin.notify.channels.cloudevent import cloudevent
from tocsin.notify.channels.event_values import rfc3339
from tocsin.notify.domain.notification import AlertStatus, EventType, ResolveReason, Severity

RESOLVED = replace(
    ALERT,
    severity=Severity.CRITICAL,
    status=AlertStatus.RESOLVED,
    labels={"site": "Berlin", "disk": "sda"},
    occurrences=3,
    last_seen_time=AT + timedelta(minutes=30),
    acknowledge_time=AT + timedelta(hours=1),
    acknowledged_by="anonymous",
    acknowledge_note="on it",
    acknowledge_expire_time=AT + timedelta(hours=25),
    resolve_time=AT + timedelta(hours=2),
    resolved_by="anonymous",
    resolve_reason=ResolveReason.AUTO,
    version=6,
    previous_alert_id=UUID(int=9),
    suppressed_by=UUID(int=10),
    host_labels={"rack": "7"},
    source_group_id="home",
    repository_id="nas",
    schedule_id="nightly",
)


def test_the_whole_document() -> None:
    notification = a_notification(
        EventType.RESOLVED,
        alert=RESOLVED,
        event_id=UUID(int=7),
        note="thanks",
        on_behalf_of="alice",
        occur_time=AT + timedelta(hours=2),
        record_time=AT + timedelta(hours=2, seconds=1),
    )

    assert {
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-000000000007",
        "source": "/tocsin/alert",
        "type": "alert.resolved",
        "subject": "0190b5a8-0000-7000-8000-00000000a1e7",
        "time": "2026-02-01T00:15:00.000000Z",
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": {
            "summary": "RESOLVED: backup_failed on Web server (home) [CRITICAL], it works again",
            "event_id": "00000000-0000-0000-0000-000000000007",
            "type": "resolved",
            "position": {"epoch": "00000000-0000-0000-0000-000000000005", "revision": 42},
            "synthetic": False,
            "collapsed_count": 0,
            "explained_count": 0,
            "actor": "anonymous",
            "on_behalf_of": "alice",
            "note": "thanks",
            "occur_time": "2026-02-01T00:15:00.000000Z",
            "record_time": "2026-02-01T00:15:01.000000Z",
            "alert": {
                "alert_id": "0190b5a8-0000-7000-8000-00000000a1e7",
                "host_id": "web-1",
                "host_name": "Web server",
                "kind": "backup_failed",
                "dedup_key": "home",
                "severity": "critical",
                "status": "resolved",
                "message": "repository is locked by pid 4711",
                "cause": "locked",
                "labels": {"disk": "sda", "site": "Berlin"},
                "occurrences": 3,
                "raise_time": "2026-01-31T22:15:00.000000Z",
                "last_seen_time": "2026-01-31T22:45:00.000000Z",
                "acknowledge_time": "2026-01-31T23:15:00.000000Z",
                "acknowledged_by": "anonymous",
                "acknowledge_note": "on it",
                "acknowledge_expire_time": "2026-02-01T23:15:00.000000Z",
                "resolve_time": "2026-02-01T00:15:00.000000Z",
                "resolved_by": "anonymous",
                "resolve_reason": "auto",
                "version": 6,
                "previous_alert_id": "00000000-0000-0000-0000-000000000009",
                "suppressed_by": "00000000-0000-0000-0000-00000000000a",
                "host_labels": {"rack": "7"},
                "source_group_id": "home",
                "repository_id": "nas",
                "schedule_id": "nightly",
            },
        },
    } == json.loads(cloudevent(notification))


def test_what_is_unset_is_null_or_empty_but_there() -> None:
    alert = json.loads(cloudevent(a_notification()))["data"]["alert"]

    assert set(alert) == set(ALERT.__slots__)
    assert [None] * 5 == [
        alert[name]
        for name in (
            "acknowledge_time",
            "acknowledge_expire_time",
            "resolve_time",
            "resolve_reason",
            "previous_alert_id",
        )
    ]


@pytest.mark.parametrize("happened", EventType)
def test_the_type_says_what_happened(happened: EventType) -> None:
    event = json.loads(cloudevent(a_notification(happened)))

    assert f"alert.{happened.name.lower()}" == event["type"]
    assert happened.name.lower() == event["data"]["type"]


def test_a_test_cannot_be_taken_for_an_alert() -> None:
    event = json.loads(cloudevent(a_notification(is_test=True)))

    assert ("channel.test", "test") == (event["type"], event["data"]["type"])


def test_without_a_trace_there_is_no_traceparent() -> None:
    assert "traceparent" not in json.loads(cloudevent(a_notification(traceparent="")))


def test_the_bytes_are_the_same_every_time_whatever_the_order_of_the_labels() -> None:
    one = a_notification(alert=replace(ALERT, labels={"a": "1", "b": "2"}))
    two = replace(one, alert=replace(ALERT, labels={"b": "2", "a": "1"}))

    assert cloudevent(one) == cloudevent(two)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
        (
            datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            "2026-01-01T00:00:00.000000Z",
        ),
    ],
)
def test_times_are_rfc_3339_in_utc(time: datetime, expected: str) -> None:
    assert expected == rfc3339(time)
