from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tocsin.common.errors import Violations
from tocsin.common.rpc.times import read_timestamp, to_timestamp

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def read(stamp: Timestamp) -> datetime | None:
    found = Violations()
    time = read_timestamp(found, "observe_time", stamp)
    assert (time is None) == bool(found.found)
    return time


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_the_wire_to_the_microsecond(time: datetime) -> None:
    assert time == read(to_timestamp(time))


@pytest.mark.parametrize("time", [FIRST, LAST])
def test_the_ends_of_the_calendar_survive_too(time: datetime) -> None:
    assert time == read(to_timestamp(time))


def test_what_is_below_a_microsecond_is_dropped() -> None:
    assert datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC) == read(Timestamp(nanos=1_999))


def test_a_time_before_1970_has_its_fraction_after_its_second() -> None:
    time = datetime(1969, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)

    assert Timestamp(seconds=-1, nanos=250_000_000) == to_timestamp(time)


@pytest.mark.parametrize(
    "stamp",
    [
        Timestamp(seconds=-62_135_596_801),
        Timestamp(seconds=253_402_300_800),
        Timestamp(seconds=2**63 - 1),
        Timestamp(seconds=-(2**63)),
        Timestamp(nanos=-1),
        Timestamp(nanos=1_000_000_000),
    ],
)
def test_a_time_outside_of_the_calendar_is_refused(stamp: Timestamp) -> None:
    assert None is read(stamp)
