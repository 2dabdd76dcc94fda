from __future__ import annotations

import contextlib
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.clock import START
from tocsin.alert.domain.schedule import Cron, Interval, OnCalendar
from tocsin.alert.engine.slots import (
    RecurrenceError,
    check_recurrence,
    slot_after,
    slots_between,
)
from tocsin.common.wall_clock import find_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.alert.domain.schedule import Recurrence


def slots(recurrence: Cron | OnCalendar, count: int, after: datetime = START) -> list[str]:
    found = []
    for _ in range(count):
        after = slot_after(recurrence, after)
        found.append(f"{after:%a %Y-%m-%d %H:%M:%S}")
    return found


def refusal(recurrence: Recurrence) -> str:
    with pytest.raises(RecurrenceError) as refused:
        check_recurrence(recurrence, START)
    return str(refused.value)


@pytest.fixture
def no_zones_on_the_machine() -> Iterator[None]:
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    find_zone.cache_clear()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()
    find_zone.cache_clear()


def test_a_slot_is_in_utc_and_strictly_after_the_time() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")
    due = datetime(2026, 1, 2, 1, 30, tzinfo=UTC)

    assert due == slot_after(cron, due - timedelta(microseconds=1))
    assert due + timedelta(days=1) == slot_after(cron, due)
    assert UTC == slot_after(cron, due).tzinfo


def test_a_time_of_another_zone_gives_the_same_slot() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")
    elsewhere = START.astimezone(zoneinfo.ZoneInfo("Asia/Kolkata"))

    assert slot_after(cron, START) == slot_after(cron, elsewhere)


@pytest.mark.parametrize(
    ("word", "fields"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
    ],
)
def test_a_word_of_cron_stands_for_its_fields(word: str, fields: str) -> None:
    check_recurrence(Cron(word), START)

    assert slots(Cron(fields), 3) == slots(Cron(word), 3)


def test_reboot_is_refused_for_it_is_never_due() -> None:
    assert "@reboot names no time" in refusal(Cron("@reboot"))
    assert '"30 2 * * *", or give an interval' in refusal(Cron("@reboot"))


def test_a_word_that_is_none_is_refused_with_those_there_are() -> None:
    assert refusal(Cron("@fortnightly")).startswith('"@fortnightly" is not a word of cron.')
    assert "@weekly" in refusal(Cron("@fortnightly"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 13 * 5", ["Fri 2026-01-02", "Fri 2026-01-09", "Tue 2026-01-13", "Fri 2026-01-16"]),
        ("0 0 */10 * 5", ["Fri 2026-05-01", "Fri 2026-07-31", "Fri 2026-08-21", "Fri 2026-09-11"]),
        ("0 0 * * 7", ["Sun 2026-01-04", "Sun 2026-01-11", "Sun 2026-01-18", "Sun 2026-01-25"]),
        ("0 0 31 * *", ["Sat 2026-01-31", "Tue 2026-03-31", "Sun 2026-05-31", "Fri 2026-07-31"]),
        ("0 0 29 2 *", ["Tue 2028-02-29", "Sun 2032-02-29", "Fri 2036-02-29", "Wed 2040-02-29"]),
        ("0 0 30 2 1", ["Mon 2026-02-02", "Mon 2026-02-09", "Mon 2026-02-16", "Mon 2026-02-23"]),
        ("0 0 l * *", ["Sat 2026-01-31", "Sat 2026-02-28", "Tue 2026-03-31", "Thu 2026-04-30"]),
        (
            "0 0 * jan,FEB sun#1",
            ["Sun 2026-01-04", "Sun 2026-02-01", "Sun 2027-01-03", "Sun 2027-02-07"],
        ),
    ],
)
def test_days_of_cron_that_are_odd_but_legal(expression: str, expected: list[str]) -> None:
    check_recurrence(Cron(expression), START)

    assert [f"{day} 00:00:00" for day in expected] == slots(Cron(expression), 4)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/90 5 * * *", ["05:00:00"]),
        ("  0\t5  *  * * ", ["05:00:00"]),
        ("00 05 01-31 * 0-7", ["05:00:00"]),
        ("7-7,9,11-15/2 5 * * *", ["05:07:00", "05:09:00", "05:11:00", "05:13:00", "05:15:00"]),
    ],
)
def test_times_of_cron_that_are_odd_but_legal(expression: str, expected: list[str]) -> None:
    check_recurrence(Cron(expression), START)

    found = slots(Cron(expression), len(expected))

    assert expected == [slot.split()[2] for slot in found]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("daily", "Fri 2026-01-02 00:00:00"),
        ("Mon..Fri 02:30", "Thu 2026-01-01 02:30:00"),
        ("Sat,Sun 1:2:3", "Sat 2026-01-03 01:02:03"),
        ("*-*~1 04:00", "Sat 2026-01-31 04:00:00"),
        ("Mon *-05~07/1", "Mon 2026-05-25 00:00:00"),
        ("*-02-29", "Tue 2028-02-29 00:00:00"),
        ("2028..2199/4-1-1", "Sat 2028-01-01 00:00:00"),
        ("*:*:*", "Thu 2026-01-01 00:00:01"),
        (" quarterly ", "Wed 2026-04-01 00:00:00"),
    ],
)
def test_calendar_events_that_are_odd_but_legal(event: str, expected: str) -> None:
    check_recurrence(OnCalendar(event), START)

    assert [expected] == slots(OnCalendar(event), 1)


@pytest.mark.parametrize(
    "recurrence",
    [
        Cron("0 0 30 2 *"),
        Cron("0 0 31 4,6,9,11 *"),
        Cron("0 0 31 2 1#5"),
        OnCalendar("*-02-30"),
        OnCalendar("2020-01-01"),
    ],
)
def test_times_that_never_occur_are_refused_with_what_to_write(
    recurrence: Cron | OnCalendar,
) -> None:
    assert f'"{recurrence.expression}" never occurs' in refusal(recurrence)
    assert "Write a day that one of its months has" in refusal(recurrence)


@pytest.mark.parametrize(
    "recurrence", [Cron("0 0 29 2 */7"), OnCalendar("2027-01-01"), OnCalendar("Sun *-02-29")]
)
def test_times_that_come_to_an_end_or_hardly_ever_are_refused(
    recurrence: Cron | OnCalendar,
) -> None:
    assert "does not come again within 8 years" in refusal(recurrence)


def test_a_leap_day_is_found_over_a_century_without_one() -> None:
    leap_day = datetime(2096, 2, 29, tzinfo=UTC)

    assert leap_day.replace(year=2104) == slot_after(Cron("0 0 29 2 *"), leap_day)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("60 2 * * *", "the minute cannot be read. It takes numbers (0-59)"),
        ("0 24 * * *", "the hour cannot be read. It takes numbers (0-23)"),
        ("0 2 32 * *", "the day-of-month cannot be read. It takes numbers (1-31)"),
        ("0 2 * 13 *", "the month cannot be read. It takes numbers (1-12 or JAN-DEC)"),
        ("0 2 * * 8", "the day-of-week cannot be read. It takes numbers (0-7 or SUN-SAT"),
        ("0 2 * * FRI-SUN", "ranges that run upwards (1-5)"),
        ("0 22-4 * * *", "ranges that run upwards (1-5)"),
        ("*/0 * * * *", "the minute cannot be read"),
        ("0 2 ? * *", "the day-of-month cannot be read"),
        ("0 0 2 * * *", "has 6 fields; cron has five, none for seconds"),
        ("0 2 * *", "has 4 fields"),
        ("daily", "has 1 field;"),
        ("CRON_TZ=Europe/Berlin 0 2 * * *", "has 6 fields"),
        ("", "has 0 fields"),
    ],
)
def test_what_is_not_cron_is_refused_with_what_to_write(expression: str, expected: str) -> None:
    text = refusal(Cron(expression))

    assert expected in text
    assert text.endswith('such as "30 2 * * *" for 02:30 of each day.')


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("25:00", "bad hour"),
        ("0 2 * * *", "bad day-of-week"),
        ("@daily", "bad day-of-week"),
        ("Fri..Mon 1:00", "bad day-of-week"),
        ("10:00:00.5", "bad second"),
        ("", "wrong number of fields"),
    ],
)
def test_what_is_no_calendar_event_is_refused_with_what_to_write(event: str, expected: str) -> None:
    assert (
        f'"{event}" is not a calendar event of systemd.time(7): {expected}. Write it such as '
        '"daily", "Mon..Fri 02:30" or "*-*-01 04:00:00"; a range runs upwards.'
    ) == refusal(OnCalendar(event))


def test_a_calendar_event_with_a_zone_is_refused_with_where_the_zone_goes() -> None:
    assert (
        '"Mon 02:00 Europe/Riga" names a time zone. Write "Mon 02:00", and "Europe/Riga" as the '
        "time_zone."
    ) == refusal(OnCalendar("Mon 02:00 Europe/Riga"))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("America/Newyork", "America/New_York"),
        ("Asia/Calcuta", "Asia/Calcutta"),
        ("utc", "UTC"),
    ],
)
@pytest.mark.parametrize("kind", [Cron, OnCalendar])
def test_an_unknown_zone_is_refused_with_names_that_are_near(
    name: str, near: str, kind: type[Cron | OnCalendar]
) -> None:
    text = refusal(kind("@daily" if kind is Cron else "daily", name))

    assert text.startswith(f'"{name}" is not a time zone of the IANA database. Did you mean ')
    assert near in text


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus_Mons_XY",
        "../../../etc/passwd",
        "/etc/localtime",
        "localtime",
        "Europe",
        "posix/UTC",
        "right/Europe/Berlin",
        "tzdata.zi",
        "zone.tab",
        "a\0b",
        "x" * 256,
    ],
)
def test_what_only_looks_like_a_zone_to_the_file_system_is_refused(name: str) -> None:
    assert "is not a time zone of the IANA database" in refusal(Cron("0 2 * * *", name))


def test_a_zone_whose_sign_is_the_other_way_round_is_not_proposed() -> None:
    assert "Etc/GMT" not in refusal(Cron("0 2 * * *", "UTC+2"))


@pytest.mark.usefixtures("no_zones_on_the_machine")
def test_a_machine_without_zones_takes_those_of_the_package() -> None:
    slot = slot_after(Cron("30 2 * * *", "Europe/Berlin"), datetime(2026, 7, 1, tzinfo=UTC))

    assert datetime(2026, 7, 1, 0, 30, tzinfo=UTC) == slot
    assert "Europe/Berlin" in refusal(Cron("30 2 * * *", "Europe/Berln"))


@pytest.mark.parametrize(
    ("seconds", "is_taken"),
    [(0, False), (-60, False), (59, False), (60, True), (366 * 86400, True)],
)
def test_an_interval_is_one_minute_to_366_days(seconds: int, is_taken: bool) -> None:
    interval = Interval(timedelta(seconds=seconds))

    if is_taken:
        check_recurrence(interval, START)
    else:
        assert f"An interval is 1 minute to 366 days, not {seconds} s." == refusal(interval)


def test_slots_are_counted_after_the_one_and_up_to_the_other_time() -> None:
    cron = Cron("*/10 * * * *")
    hour = timedelta(hours=1)

    assert 6 == slots_between(cron, START, START + hour)
    assert 6 == slots_between(
        cron, START - timedelta(seconds=1), START + hour - timedelta(seconds=1)
    )
    assert 0 == slots_between(cron, START, START)
    assert 0 == slots_between(cron, START + hour, START)


def test_slots_are_counted_up_to_a_limit() -> None:
    every_minute = Cron("* * * * *")

    assert 10_000 == slots_between(every_minute, START, START + timedelta(days=3650))
    assert 5 == slots_between(every_minute, START, START + timedelta(days=3650), limit=5)
    assert 0 == slots_between(every_minute, START, START + timedelta(days=1), limit=0)


def test_counting_ends_where_nothing_is_due_any_more() -> None:
    assert 1 == slots_between(OnCalendar("2027-01-01"), START, START + timedelta(days=3650))


def test_what_is_due_no_more_is_refused_when_it_is_asked_for() -> None:
    with pytest.raises(RecurrenceError, match="never occurs in the next 8 years"):
        slot_after(OnCalendar("2027-01-01"), datetime(2027, 1, 1, tzinfo=UTC))


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([Cron, OnCalendar]),
    st.one_of(
        st.text(alphabet="0123456789*/-,.:~#@LW? MONJANSUN\u0661\u00b2", max_size=40),
        st.text(max_size=20),
        st.lists(
            st.sampled_from(
                [
                    "*",
                    "0",
                    "59",
                    "*/15",
                    "1-5",
                    "5-1",
                    "L",
                    "LW",
                    "5L",
                    "1#5",
                    "MON",
                    "~1",
                    "*-*-31",
                    "02:30",
                    "*:0/7",
                    "Mon..Fri",
                    "99999999999999999999",
                    "0/0",
                    "1,",
                    "1970-2-29",
                ]
            ),
            max_size=6,
        ).map(" ".join),
    ),
)
def test_any_text_gives_a_slot_or_is_refused(kind: type[Cron | OnCalendar], text: str) -> None:
    recurrence = kind(text, "Europe/Berlin")

    with contextlib.suppress(RecurrenceError):
        check_recurrence(recurrence, START)

        assert START < slot_after(recurrence, START)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_name_of_a_zone_is_known_or_refused(name: str) -> None:
    with contextlib.suppress(RecurrenceError):
        check_recurrence(Cron("0 2 * * *", name), START)
