from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tocsin.api.alert.v1.alert_pb2 import (
    ALERT_STATUS_OPEN,
    ALERT_STATUS_RESOLVED,
    SEVERITY_CRITICAL,
    SEVERITY_WARNING,
)
from tocsin.api.alert.v1.alert_service_pb2 import RaiseOrTouchRequest
from tocsin.api.notify.v1.channel_pb2 import Channel
from tocsin.client import notify_requests, requests

ALERT_ID = "0194b7a0-0000-7000-8000-000000000001"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_report_of_a_failure_carries_all_that_was_given() -> None:
    request = requests.raise_or_touch(
        "web-1",
        "backup_failed",
        "home",
        severity="critical",
        message="exit code 1",
        cause="locked",
        labels={"disk": "sda"},
        observe_time=NOON,
        request_id="r-1",
    )

    expected = RaiseOrTouchRequest(
        host_id="web-1",
        kind="backup_failed",
        dedup_key="home",
        severity=SEVERITY_CRITICAL,
        message="exit code 1",
        cause="locked",
        labels={"disk": "sda"},
        observe_time=Timestamp(seconds=int(NOON.timestamp())),
        request_id="r-1",
    )
    assert expected == request


def test_a_report_leaves_severity_and_time_to_the_server_when_they_are_not_given() -> None:
    request = requests.raise_or_touch("web-1", "backup_failed")

    assert request.severity == 0
    assert not request.HasField("observe_time")


def test_every_changing_request_gets_an_id_of_its_own() -> None:
    made = [
        requests.raise_or_touch("h", "k").request_id,
        requests.raise_or_touch("h", "k").request_id,
        requests.auto_resolve("h", "k").request_id,
        requests.acknowledge(ALERT_ID).request_id,
        requests.resolve(ALERT_ID).request_id,
    ]

    assert len(made) == len({UUID(each) for each in made})


def test_a_given_request_id_is_kept() -> None:
    assert requests.resolve(ALERT_ID, request_id="mine").request_id == "mine"


def test_a_batch_fills_in_missing_request_ids_and_leaves_the_callers_requests_alone() -> None:
    bare = RaiseOrTouchRequest(host_id="h", kind="k")
    named = requests.raise_or_touch("h", "k", request_id="mine")

    batch = requests.batch_raise_or_touch([bare, named])

    assert UUID(batch.requests[0].request_id)
    assert batch.requests[1].request_id == "mine"
    assert bare.request_id == ""


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_of_none_or_too_many_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"requests: {count} of them; send 1 to 1000 at once"):
        requests.batch_raise_or_touch([RaiseOrTouchRequest()] * count)


def test_an_alert_is_named_by_a_uuid_or_its_text() -> None:
    assert requests.get_alert(ALERT_ID) == requests.get_alert(UUID(ALERT_ID))


def test_a_list_of_alerts_is_asked_for_by_names() -> None:
    request = requests.list_alerts(
        statuses=["open", "resolved"], host_ids=["web-1"], min_severity="warning", page_size=5
    )

    assert list(request.statuses) == [ALERT_STATUS_OPEN, ALERT_STATUS_RESOLVED]
    assert list(request.host_ids) == ["web-1"]
    assert request.min_severity == SEVERITY_WARNING
    assert request.page_size == 5


def test_an_update_of_a_channel_names_its_fields() -> None:
    request = notify_requests.update_channel(Channel(channel_id="c"), ["enabled", "webhook.url"])

    assert list(request.update_mask.paths) == ["enabled", "webhook.url"]


def test_an_update_of_no_field_is_refused() -> None:
    with pytest.raises(ValueError, match="fields: name what to change"):
        notify_requests.update_channel(Channel(channel_id="c"), [])


def test_deliveries_are_asked_for_by_the_names_of_their_states() -> None:
    request = notify_requests.list_deliveries(alert_id=UUID(ALERT_ID), states=["dead", "pending"])

    assert request.alert_id == ALERT_ID
    assert list(request.states) == [5, 1]
