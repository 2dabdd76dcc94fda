"""Times that come again, through changes of summer time; and what is wrong with an expression."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.domain.recurrence import Recurrence, RecurrenceForm
from tocsin.notify.router.recurrence import check, next_time, times_after
from tocsin.notify.router.wall_clock import zone_of

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cron(expression: str, zone: str = BERLIN) -> Recurrence:
    return Recurrence(RecurrenceForm.CRON, expression, zone)


def calendar(expression: str, zone: str = BERLIN) -> Recurrence:
    return Recurrence(RecurrenceForm.ON_CALENDAR, expression, zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def some(recurrence: Recurrence, after: str, count: int) -> list[str]:
    times = islice(times_after(recurrence, utc(after)), count)
    return [time.strftime("%m-%dT%H:%M") for time in times]


BOTH = pytest.mark.parametrize(
    "daily", [cron("30 2 * * *"), calendar("*-*-* 02:30")], ids=["cron", "calendar"]
)


@BOTH
def test_a_time_follows_the_clock_on_the_wall(daily: Recurrence) -> None:
    assert ["01-15T01:30", "01-16T01:30"] == some(daily, "2026-01-15T00:00", 2)
    assert ["07-15T00:30"] == some(daily, "2026-07-15T00:00", 1)


@BOTH
def test_a_time_that_is_skipped_is_made_up_for_at_its_end(daily: Recurrence) -> None:
    assert ["03-28T01:30", "03-29T01:00", "03-30T00:30"] == some(daily, "2026-03-28T00:00", 3)


@BOTH
def test_a_time_that_is_shown_twice_counts_once(daily: Recurrence) -> None:
    assert ["10-25T00:30", "10-26T01:30"] == some(daily, "2026-10-25T00:00", 2)


@BOTH
def test_a_time_that_was_shown_before_does_not_count_when_it_is_shown_again(
    daily: Recurrence,
) -> None:
    assert ["10-26T01:30"] == some(daily, "2026-10-25T00:45", 1)


def test_several_that_are_skipped_are_one_at_the_end() -> None:
    expected = ["03-29T00:40", "03-29T01:00", "03-29T01:20"]
    assert expected == some(cron("*/20 * * * *"), "2026-03-29T00:20", 3)


def test_the_next_time_lies_strictly_after() -> None:
    assert utc("2026-01-16T01:30") == next_time(cron("30 2 * * *"), utc("2026-01-15T01:30"))


EXPRESSIONS = st.sampled_from(
    [cron("*/7 * * * *"), cron("30 1,2,3 * * *"), cron("0 0 29 * *"), calendar("Sun 02:15")]
)


@given(
    EXPRESSIONS,
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants them without a zone
)
def test_times_only_grow_and_begin_anew_from_any_of_them(
    recurrence: Recurrence, after: datetime
) -> None:
    times = list(islice(times_after(recurrence, after), 4))
    assert all(earlier < later for earlier, later in pairwise([after, *times]))
    assert times[1:] == list(islice(times_after(recurrence, times[0]), 3))


@pytest.mark.parametrize(
    ("recurrence", "words"),
    [
        (cron("30 2 * *"), "has 4 fields; write five"),
        (cron("x"), "has 1 field; write five"),
        (cron("0 30 2 * * *"), "has 6 fields"),
        (cron("61 * * * *"), "look at the minute"),
        (cron("0 0 31 2 *"), "look at the day-of-month"),
        (cron("@reboot"), "has 1 field"),
        (calendar("every monday"), "is no calendar event"),
        (calendar("Mon 07:30 Europe/Berlin"), "names a time zone; write 'Mon 07:30'"),
        (calendar("*-02-30"), "does not come again and again"),
        (calendar("2027-01-01"), "does not come again and again"),
        (calendar("2020-01-01"), "does not come again and again"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said_with_what_to_write(
    recurrence: Recurrence, words: str
) -> None:
    assert words in (check(recurrence, NOW) or "")


@pytest.mark.parametrize(
    "recurrence",
    [cron("0 0 29 2 *"), cron("@daily"), cron(" 0 7 * * mon-fri "), calendar("Mon..Fri 07:30")],
)
def test_what_comes_again_and_again_is_right(recurrence: Recurrence) -> None:
    assert check(recurrence, NOW) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Berlin", "did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Europe/Berlim", "Europe/Berlin"),
        ("", "write one such as Europe/Berlin"),
        ("../etc/passwd", "is no time zone"),
        ("Europe", "is no time zone"),
        ("a\0b", "is no time zone"),
        ("localtime", "is no time zone"),
    ],
)
def test_a_zone_that_is_none_is_told_with_what_is_near(name: str, words: str) -> None:
    with pytest.raises(ValueError, match="is no time zone") as caught:
        zone_of(name)
    assert words in str(caught.value)


def test_a_rare_time_is_found_without_looking_at_each_minute() -> None:
    assert utc("2028-02-28T23:00") == next_time(cron("0 0 29 2 *"), NOW)
    assert timedelta(days=365) < (next_time(cron("0 0 29 2 *"), NOW) or NOW) - NOW
