from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tocsin.api.alert.v1.alert_pb2 import SEVERITY_CRITICAL, SEVERITY_UNSPECIFIED, Severity
from tocsin.api.alert.v1.event_pb2 import AlertEventType
from tocsin.client.values import enum_value, enum_values, short_names, timestamp


@pytest.mark.parametrize("given", ["critical", "Critical", "SEVERITY_CRITICAL", 3])
def test_an_enum_value_goes_by_its_short_name_its_full_name_or_its_number(
    given: str | int,
) -> None:
    assert enum_value("severity", Severity, given) == SEVERITY_CRITICAL


def test_no_enum_value_is_the_unset_one() -> None:
    assert enum_value("severity", Severity, None) == SEVERITY_UNSPECIFIED


@pytest.mark.parametrize("given", ["fatal", "", "unspecified", 4, -1])
def test_an_unknown_enum_value_is_refused_with_the_names_there_are(given: str | int) -> None:
    with pytest.raises(ValueError, match=r"severity: .* is none of info, warning, critical"):
        enum_value("severity", Severity, given)


def test_short_names_leave_out_the_prefix_and_the_unset_value() -> None:
    expected = {
        "raised": 1,
        "severity_changed": 2,
        "cause_changed": 3,
        "acknowledged": 4,
        "unacknowledged": 5,
        "resolved": 6,
        "unsuppressed": 7,
    }
    assert expected == short_names(AlertEventType)


def test_several_enum_values_keep_their_order() -> None:
    assert enum_values("types", AlertEventType, ["resolved", 1]) == [6, 1]


def test_a_time_keeps_its_moment_and_its_microseconds() -> None:
    berlin = timezone(timedelta(hours=2))
    stamp = timestamp("observe_time", datetime(2026, 6, 1, 12, 0, 0, 123456, berlin))

    assert stamp is not None
    assert datetime(2026, 6, 1, 10, 0, 0, 123456, UTC) == stamp.ToDatetime(UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"observe_time: .* has no time zone"):
        timestamp("observe_time", datetime(2026, 6, 1, 12, 0))  # noqa: DTZ001 (the point)


def test_no_time_stays_unset() -> None:
    assert timestamp("observe_time", None) is None
