from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.clock import START
from tocsin.alert.engine.observe import observed_at


def test_an_unset_observe_time_is_the_time_of_receipt() -> None:
    assert START == observed_at(None, START)


@pytest.mark.parametrize("ahead", [timedelta(minutes=-5), timedelta(0), timedelta(minutes=5)])
def test_an_observe_time_up_to_five_minutes_ahead_is_taken(ahead: timedelta) -> None:
    assert START + ahead == observed_at(START + ahead, START)


def test_an_observe_time_further_ahead_is_clamped_to_now_and_not_refused() -> None:
    ahead = timedelta(minutes=5, microseconds=1)

    assert START == observed_at(START + ahead, START)


def test_an_observe_time_of_long_ago_is_taken() -> None:
    long_ago = START.replace(year=2)

    assert long_ago == observed_at(long_ago, START)


def test_the_first_instant_of_the_calendar_is_not_minus_infinity() -> None:
    first = datetime.min.replace(tzinfo=UTC)

    assert first + timedelta(microseconds=1) == observed_at(first, START)


def test_an_observe_time_at_the_end_of_the_calendar_is_clamped() -> None:
    assert START == observed_at(START.replace(year=9999), START)
