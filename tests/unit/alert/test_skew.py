"""Times of senders whose clocks are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import START
from support.observed import at
from tocsin.alert.engine.observe import EARLIEST
from tocsin.alert.engine.skew import read_clock

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LAST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("skew", [DAY, -HOUR, timedelta(seconds=31), timedelta(seconds=-31)])
def test_a_skew_over_30_s_is_taken_out_of_every_time(skew: timedelta) -> None:
    reading = read_clock(START + skew, START)

    assert skew == reading.skew
    assert at(-5) == reading.corrected(at(-5) + skew)


@pytest.mark.parametrize("seconds", [-30, -1, 0, 1, 30])
def test_a_skew_up_to_30_s_is_known_and_left_alone(seconds: int) -> None:
    reading = read_clock(START + timedelta(seconds=seconds), START)

    assert timedelta(seconds=seconds) == reading.skew
    assert at(-5) == reading.corrected(at(-5))


def test_nothing_is_learned_of_a_clock_that_was_not_told() -> None:
    reading = read_clock(None, START)

    assert reading.skew is None
    assert at(-5) == reading.corrected(at(-5))


def test_a_time_in_the_future_after_correction_is_that_of_receipt() -> None:
    assert START == read_clock(None, START).corrected(at(1))
    assert START == read_clock(START + DAY, START).corrected(START + DAY + HOUR)


def test_a_run_lasts_as_long_as_the_sender_said_wherever_it_is_moved() -> None:
    reading = read_clock(None, START)

    assert (at(-60), START) == reading.corrected_run(at(30), at(90))
    assert (None, START) == reading.corrected_run(None, at(90))


times = st.datetimes(timezones=st.just(UTC))


@given(st.none() | times, times.filter(lambda time: time >= EARLIEST), times, times)
def test_no_clock_is_so_wrong_that_it_cannot_be_corrected(
    send: datetime | None, received: datetime, one: datetime, other: datetime
) -> None:
    reading = read_clock(send, received)

    start, finish = reading.corrected_run(min(one, other), max(one, other))

    assert start is not None
    assert EARLIEST <= start <= finish <= received


@pytest.mark.parametrize("extreme", [datetime.min.replace(tzinfo=UTC), LAST])
def test_the_ends_of_the_calendar_are_times_too(extreme: datetime) -> None:
    for send in (None, datetime.min.replace(tzinfo=UTC), LAST):
        assert EARLIEST <= read_clock(send, START).corrected(extreme) <= START
