"""Runs through the nights in which the clocks are changed.

What cron(8) of Debian says of changes of less than three hours: a job set for a time that is
skipped runs as soon as the clocks have moved, and one set for a time that is repeated runs once.
That holds for jobs at a particular time. Those with `*` in the hour or the minute, and @hourly,
follow whatever the clocks show.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from oncalendar import BaseIterator

from tocsin.alert.domain.schedule import Cron, OnCalendar
from tocsin.alert.engine.slots import slot_after, slots_between

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

# The moment at which the clocks are changed, in UTC. The first three are the common ways of north
# and south; then half an hour, a night without a midnight, and a summer that is the standard.
FORWARD = {
    "Europe/Berlin": datetime(2026, 3, 29, 1, tzinfo=UTC),  # 02:00 becomes 03:00
    "America/New_York": datetime(2026, 3, 8, 7, tzinfo=UTC),  # 02:00 becomes 03:00
    "Australia/Sydney": datetime(2026, 10, 3, 16, tzinfo=UTC),  # 02:00 becomes 03:00
    "Australia/Lord_Howe": datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # 02:00 becomes 02:30
    "America/Santiago": datetime(2026, 9, 6, 4, tzinfo=UTC),  # 00:00 becomes 01:00
    "Europe/Dublin": datetime(2026, 3, 29, 1, tzinfo=UTC),  # 01:00 becomes 02:00
}
BACK = {
    "Europe/Berlin": datetime(2026, 10, 25, 1, tzinfo=UTC),  # 03:00 becomes 02:00
    "America/New_York": datetime(2026, 11, 1, 6, tzinfo=UTC),  # 02:00 becomes 01:00
    "Australia/Sydney": datetime(2026, 4, 4, 16, tzinfo=UTC),  # 03:00 becomes 02:00
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),  # 02:00 becomes 01:30
    "America/Santiago": datetime(2026, 4, 5, 3, tzinfo=UTC),  # 24:00 becomes 23:00
    "Europe/Dublin": datetime(2026, 10, 25, 1, tzinfo=UTC),  # 02:00 becomes 01:00
}
CHANGES = [*FORWARD.items(), *BACK.items()]
THREE = ["Europe/Berlin", "America/New_York", "Australia/Sydney"]

MINUTES = {
    "0": {0},
    "30": {30},
    "15,45": {15, 45},
    "58-59": {58, 59},
    "*/20": {0, 20, 40},
    "*": set(range(60)),
}
HOURS = {
    "0": {0},
    "1": {1},
    "2": {2},
    "1-3": {1, 2, 3},
    "0,2,4": {0, 2, 4},
    "23": {23},
    "*/4": {0, 4, 8, 12, 16, 20},
    "*": set(range(24)),
}
WEEKDAYS = {"*": set(range(7)), "0": {6}, "1": {0}}


def local(zone: str, slot: datetime) -> str:
    return f"{slot.astimezone(ZoneInfo(zone)):%d %H:%M%z}"


def around(recurrence: Cron | OnCalendar, change: datetime, days: int = 2) -> list[datetime]:
    """Return the slots after `days` before a change, up to `days` after it."""
    slots = []
    slot = slot_after(recurrence, change - days * DAY)
    while slot <= change + days * DAY:
        slots.append(slot)
        slot = slot_after(recurrence, slot)
    return slots


def of_that_night(recurrence: Cron | OnCalendar, change: datetime) -> list[str]:
    """Return the slots within 3 hours of a change, as the zone shows them."""
    return [
        local(recurrence.time_zone, slot)
        for slot in around(recurrence, change)
        if abs(slot - change) <= timedelta(hours=3)
    ]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", ["29 03:00+0200"]),
        ("America/New_York", ["08 03:00-0400"]),
        ("Australia/Sydney", ["04 03:00+1100"]),
    ],
)
def test_cron_a_particular_time_that_is_skipped_is_due_when_the_clocks_have_moved(
    zone: str, expected: list[str]
) -> None:
    assert expected == of_that_night(Cron("30 2 * * *", zone), FORWARD[zone])


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", ["29 03:00+0200", "29 03:20+0200"]),
        ("America/New_York", ["08 03:00-0400", "08 03:20-0400"]),
        ("Australia/Sydney", ["04 03:00+1100", "04 03:20+1100"]),
    ],
)
def test_cron_several_times_that_are_skipped_are_due_once_and_not_again_at_their_like(
    zone: str, expected: list[str]
) -> None:
    assert expected == of_that_night(Cron("0,20 2,3 * * *", zone), FORWARD[zone])


@pytest.mark.parametrize(
    ("zone", "cron", "expected"),
    [
        ("Europe/Berlin", "30 2 * * *", ["25 02:30+0200"]),
        ("America/New_York", "30 1 * * *", ["01 01:30-0400"]),
        ("Australia/Sydney", "30 2 * * *", ["05 02:30+1100"]),
    ],
)
def test_cron_a_particular_time_that_is_shown_twice_is_due_the_first_time_only(
    zone: str, cron: str, expected: list[str]
) -> None:
    assert expected == of_that_night(Cron(cron, zone), BACK[zone])


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", ["29 01:30+0100", "29 03:30+0200"]),
        ("America/New_York", ["08 01:30-0500", "08 03:30-0400"]),
        ("Australia/Sydney", ["04 01:30+1000", "04 03:30+1100"]),
    ],
)
@pytest.mark.parametrize("cron", ["30 * * * *", "30 */1 * * *"])
def test_cron_with_a_wildcard_is_due_by_what_the_clocks_show_when_time_is_skipped(
    zone: str, expected: list[str], cron: str
) -> None:
    slots = of_that_night(Cron(cron, zone), FORWARD[zone])

    assert expected == [slot for slot in slots if slot[3:5] in {"01", "02", "03"}]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", ["25 02:30+0200", "25 02:30+0100"]),
        ("America/New_York", ["01 01:30-0400", "01 01:30-0500"]),
        ("Australia/Sydney", ["05 02:30+1100", "05 02:30+1000"]),
    ],
)
def test_cron_with_a_wildcard_is_due_twice_when_time_is_repeated(
    zone: str, expected: list[str]
) -> None:
    slots = of_that_night(Cron("30 * * * *", zone), BACK[zone])

    assert expected == [slot for slot in slots if slot[3:8] == expected[0][3:8]]


@pytest.mark.parametrize("zone", THREE)
def test_cron_with_a_wildcard_in_the_minute_only_is_not_due_in_an_hour_that_is_skipped(
    zone: str,
) -> None:
    assert [] == of_that_night(Cron("*/10 2 * * *", zone), FORWARD[zone])


@pytest.mark.parametrize("zone", THREE)
def test_cron_hourly_is_due_each_hour_of_both_nights(zone: str) -> None:
    for change in (FORWARD[zone], BACK[zone]):
        slots = around(Cron("@hourly", zone), change)

        assert [change + hour * timedelta(hours=1) for hour in range(-47, 49)] == slots


@pytest.mark.parametrize("zone", THREE)
def test_cron_daily_is_due_once_a_day_through_both_nights(zone: str) -> None:
    for change in (FORWARD[zone], BACK[zone]):
        slots = around(Cron("@daily", zone), change, days=10)

        assert 20 == len({local(zone, slot)[:2] for slot in slots}) == len(slots)
        assert {"00:00"} == {local(zone, slot)[3:8] for slot in slots}


def test_cron_a_midnight_that_is_skipped_is_due_at_the_first_moment_of_the_day() -> None:
    change = FORWARD["America/Santiago"]

    assert ["06 01:00-0300"] == of_that_night(Cron("@daily", "America/Santiago"), change)


def test_cron_a_wildcard_on_a_day_whose_midnight_is_skipped_is_not_due_then() -> None:
    sundays = Cron("0 */6 * * 0", "America/Santiago")

    first = slot_after(sundays, FORWARD["America/Santiago"] - DAY)

    assert "06 06:00-0300" == local("America/Santiago", first)


def test_cron_half_an_hour_of_change_does_not_put_full_hours_off() -> None:
    zone = "Australia/Lord_Howe"

    slots = around(Cron("0 */4 * * *", zone), FORWARD[zone], days=1)

    assert ["04:00", "08:00", "12:00", "16:00", "20:00", "00:00"] * 2 == [
        local(zone, slot)[3:8] for slot in slots
    ]


def debian_cron(cron: Cron, begin: datetime, end: datetime) -> list[datetime]:
    """Return when a daemon that does as cron(8) says would start a job, minute by minute."""
    minute, hour, _, _, weekday = cron.expression.split()
    zone = ZoneInfo(cron.time_zone)

    def matches(wall: datetime) -> bool:
        return (
            wall.minute in MINUTES[minute]
            and wall.hour in HOURS[hour]
            and wall.weekday() in WEEKDAYS[weekday]
        )

    has_wildcard = "*" in minute or "*" in hour
    started = []
    now = begin
    shown_last = begin.astimezone(zone).replace(tzinfo=None)
    while now < end:
        now += MINUTE
        shown = now.astimezone(zone).replace(tzinfo=None)
        passed = max(0, (shown - shown_last) // MINUTE)
        new = [shown - back * MINUTE for back in range(passed)]
        if matches(shown) if has_wildcard else any(map(matches, new)):
            started.append(now)
        shown_last = max(shown, shown_last)
    return started


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(sorted(MINUTES)),
    st.sampled_from(sorted(HOURS)),
    st.sampled_from(sorted(WEEKDAYS)),
)
def test_cron_does_as_a_daemon_that_looks_at_the_clock_each_minute(
    zone: str, change: datetime, minute: str, hour: str, weekday: str
) -> None:
    cron = Cron(f"{minute} {hour} * * {weekday}", zone)

    expected = debian_cron(cron, change - DAY, change + DAY)

    assert expected == around(cron, change, days=1)


@pytest.mark.parametrize(("zone", "change"), [item for item in CHANGES if item[0] in THREE])
@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(MINUTES)), st.sampled_from(sorted(HOURS)))
def test_cron_does_as_cronsim_does_where_hours_are_full(
    zone: str, change: datetime, minute: str, hour: str
) -> None:
    text = f"{minute} {hour} * * *"
    slots = around(Cron(text, zone), change, days=1)

    theirs = CronSim(text, (change - DAY).astimezone(ZoneInfo(zone)))

    # Times that are caught up together come once from us and once each from cronsim.
    expected = dict.fromkeys(next(theirs).astimezone(UTC) for _ in range(len(slots) + 60))
    assert list(expected)[: len(slots)] == slots


# As `systemd-analyze calendar` of systemd 252 computes them: a time that is skipped is not due,
# one that is shown twice is due the first time.
@pytest.mark.parametrize(
    ("zone", "change", "event", "expected"),
    [
        ("Europe/Berlin", FORWARD, "02:30", []),
        ("America/New_York", FORWARD, "02:30", []),
        ("Australia/Sydney", FORWARD, "02:30", []),
        ("Australia/Lord_Howe", FORWARD, "02:15", []),
        ("Europe/Berlin", BACK, "02:30", ["25 02:30+0200"]),
        ("America/New_York", BACK, "01:30", ["01 01:30-0400"]),
        ("Australia/Sydney", BACK, "02:30", ["05 02:30+1100"]),
        ("Australia/Lord_Howe", BACK, "01:45", ["05 01:45+1100"]),
        (
            "Europe/Berlin",
            BACK,
            "1..3:0/30",
            [
                "25 01:00+0200",
                "25 01:30+0200",
                "25 02:00+0200",
                "25 02:30+0200",
                "25 03:00+0100",
                "25 03:30+0100",
            ],
        ),
        (
            "America/New_York",
            BACK,
            "0..2:0/30",
            [
                "01 00:00-0400",
                "01 00:30-0400",
                "01 01:00-0400",
                "01 01:30-0400",
                "01 02:00-0500",
                "01 02:30-0500",
            ],
        ),
        (
            "Europe/Berlin",
            FORWARD,
            "1..3:0/30",
            ["29 01:00+0100", "29 01:30+0100", "29 03:00+0200", "29 03:30+0200"],
        ),
        (
            "Australia/Lord_Howe",
            BACK,
            "1..2:0/15",
            [
                "05 01:00+1100",
                "05 01:15+1100",
                "05 01:30+1100",
                "05 01:45+1100",
                "05 02:00+1030",
                "05 02:15+1030",
                "05 02:30+1030",
                "05 02:45+1030",
            ],
        ),
    ],
)
def test_systemd_starts_a_time_that_is_shown_twice_once_and_one_that_is_skipped_never(
    zone: str, change: dict[str, datetime], event: str, expected: list[str]
) -> None:
    assert expected == of_that_night(OnCalendar(event, zone), change[zone])


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize("event", ["*:0/20", "02:30", "0/4:00", "00:00", "Sun 1..3:15"])
def test_systemd_does_as_oncalendar_does(zone: str, change: datetime, event: str) -> None:
    slots = around(OnCalendar(event, zone), change)

    theirs = BaseIterator(event, (change - 2 * DAY).astimezone(ZoneInfo(zone)))

    assert [next(theirs).astimezone(UTC) for _ in slots] == slots


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["*/7 * * * *", "30 * * * *", "30 1,2 * * *", "*/30 2 * * 0", "0 0 * * *"]),
    st.integers(-5 * 3600, 5 * 3600),
    st.integers(0, 8 * 3600),
)
def test_of_two_moments_between_which_nothing_is_due_the_next_slot_is_the_same(
    zone: str, change: datetime, text: str, seconds: int, further: int
) -> None:
    cron = Cron(text, zone)
    time = change + timedelta(seconds=seconds)
    later = time + timedelta(seconds=further)

    slot = slot_after(cron, time)

    assert time < slot
    assert (later < slot) == (slot == slot_after(cron, later))
    assert (slot <= later) == (slots_between(cron, time, later) > 0)


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize("text", ["*/7 * * * *", "30 1,2 * * *", "0,30 0-3 * * 0"])
def test_slots_are_counted_as_they_come_one_by_one(zone: str, change: datetime, text: str) -> None:
    cron = Cron(text, zone)
    slots = around(cron, change)

    for hours in range(-6, 7):
        time = change + timedelta(hours=hours, minutes=15)
        before = [slot for slot in slots if slot <= time]
        assert len(before) == slots_between(cron, change - 2 * DAY, time)
        assert len(slots) - len(before) == slots_between(cron, time, change + 2 * DAY)
