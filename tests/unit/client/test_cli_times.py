"""Times as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tocsin.cli.times import age, parse_moment, parse_span, parse_until, stamp
from tocsin.cli.times import span as span_text

NOW = datetime(2026, 1, 1, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("45m", timedelta(minutes=45)),
        ("4h", timedelta(hours=4)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
        ("1h30m", timedelta(minutes=90)),
        (" 4H ", timedelta(hours=4)),
    ],
)
def test_a_span_is_read_as_people_write_it(text: str, span: timedelta) -> None:
    assert span == parse_span(text)


@pytest.mark.parametrize("text", ["", "4", "4 hours", "h", "-4h", "1.5h", "0h", "9999w", "٤h"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example"):
        parse_span(text)


@pytest.mark.parametrize(
    "text", ["2026-01-01T03:15:00Z", "2026-01-01T04:15:00+01:00", "2026-01-01 03:15Z"]
)
def test_a_moment_is_read_with_its_zone(text: str) -> None:
    assert parse_moment(text) == NOW


def test_a_moment_without_a_zone_is_refused_with_the_zone_to_add() -> None:
    with pytest.raises(ValueError, match="write 2026-01-01T03:15:00Z for UTC"):
        parse_moment("2026-01-01T03:15:00")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 2026"):
        parse_moment(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_moment_beyond_the_calendar_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="too far away"):
        parse_moment(text)


def test_a_time_of_day_is_the_next_one_by_the_local_clock() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=2)))  # 05:15
    assert datetime(2026, 1, 1, 7, 0, tzinfo=UTC) == parse_until("09:00", here)
    assert datetime(2026, 1, 2, 3, 0, tzinfo=UTC) == parse_until("5:00", here)


def test_an_end_may_be_a_whole_time_as_well() -> None:
    assert NOW == parse_until("2026-01-01T03:15:00Z", NOW)


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=3), "3s ago"),
        (timedelta(seconds=89), "89s ago"),
        (timedelta(minutes=3), "3m ago"),
        (timedelta(minutes=89), "89m ago"),
        (timedelta(hours=26), "26h ago"),
        (timedelta(days=5), "5d ago"),
        (-timedelta(hours=4) + timedelta(seconds=2), "in 4h"),
    ],
)
def test_an_age_is_told_in_one_unit(before: timedelta, told: str) -> None:
    assert told == age(NOW - before, NOW)


def test_an_exact_time_is_told_in_utc() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=2)))
    assert stamp(here) == "2026-01-01 03:15:00Z"
    assert stamp(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01 00:00:00Z"


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=26), "1d2h"),
        (timedelta(days=366), "366d"),
        (timedelta(days=1, seconds=5), "1d5s"),
    ],
)
def test_a_length_of_time_is_told_as_it_is_read(length: timedelta, told: str) -> None:
    assert told == span_text(length)
    assert not length or length == parse_span(told)
