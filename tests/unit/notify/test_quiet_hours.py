"""When it is quiet, by the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.domain.route import QuietHours
from tocsin.notify.router.quiet_hours import quiet_until

BERLIN = "Europe/Berlin"
NIGHT = QuietHours(BERLIN, time(22), time(7))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-01-15T20:59", None),
        ("2026-01-15T21:00", "2026-01-16T06:00"),
        ("2026-01-16T05:59", "2026-01-16T06:00"),
        ("2026-01-16T06:00", None),
        ("2026-07-15T20:00", "2026-07-16T05:00"),
    ],
)
def test_a_night_lasts_past_midnight_by_the_clock_of_its_zone(at: str, until: str | None) -> None:
    assert (utc(until) if until else None) == quiet_until(NIGHT, utc(at))


def test_hours_of_one_day_end_on_it() -> None:
    noon = QuietHours("UTC", time(12), time(13))
    assert utc("2026-01-15T13:00") == quiet_until(noon, utc("2026-01-15T12:30"))
    assert quiet_until(noon, utc("2026-01-15T13:30")) is None


def test_the_days_are_those_on_which_it_begins() -> None:
    weekend = QuietHours("UTC", time(22), time(7), days=(4, 5))  # Friday and Saturday
    friday, sunday = utc("2026-01-16T23:00"), utc("2026-01-18T06:00")
    assert utc("2026-01-17T07:00") == quiet_until(weekend, friday)
    assert utc("2026-01-18T07:00") == quiet_until(weekend, sunday)
    assert quiet_until(weekend, utc("2026-01-18T23:00")) is None


def test_the_same_time_for_start_and_end_is_a_whole_day() -> None:
    sunday = QuietHours("UTC", time(0), time(0), days=(6,))
    assert utc("2026-01-19T00:00") == quiet_until(sunday, utc("2026-01-18T00:00"))
    assert quiet_until(sunday, utc("2026-01-19T00:00")) is None


def test_an_end_that_is_skipped_comes_when_the_clocks_are_put_forward() -> None:
    early = QuietHours(BERLIN, time(1), time(2, 30))
    assert utc("2026-03-29T01:00") == quiet_until(early, utc("2026-03-29T00:30"))


def test_an_end_that_is_shown_twice_counts_the_second_time() -> None:
    early = QuietHours(BERLIN, time(1), time(2, 30))
    for at in ("2026-10-25T00:15", "2026-10-25T00:45", "2026-10-25T01:15"):
        assert utc("2026-10-25T01:30") == quiet_until(early, utc(at))


def test_a_start_that_is_shown_twice_counts_the_first_time() -> None:
    late = QuietHours(BERLIN, time(2, 30), time(6))
    assert utc("2026-10-25T05:00") == quiet_until(late, utc("2026-10-25T00:30"))


TIMES = st.times(max_value=time(23, 59)).map(lambda t: t.replace(second=0, microsecond=0))


@given(
    TIMES,
    TIMES,
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants them without a zone
)
def test_quiet_hours_end_and_it_is_not_quiet_then(start: time, end: time, at: datetime) -> None:
    until = quiet_until(QuietHours(BERLIN, start, end), at)
    if until is not None:
        assert timedelta(0) < until - at <= timedelta(hours=25)
        is_next_day_at_once = start == end
        assert is_next_day_at_once or quiet_until(QuietHours(BERLIN, start, end), until) is None
