from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tocsin.common.backoff import Backoff

BACKOFF = Backoff(first=timedelta(seconds=1), ceiling=timedelta(seconds=10), jitter=0.2)
NO_SPREAD = 0.5

failures = st.integers(min_value=1, max_value=10**9)
chances = st.floats(min_value=0, max_value=1)


def test_delays_double_up_to_the_ceiling() -> None:
    seconds = [BACKOFF.delay(n, NO_SPREAD).total_seconds() for n in range(1, 7)]

    assert [1, 2, 4, 8, 10, 10] == seconds


def test_jitter_spreads_by_its_share_to_both_sides() -> None:
    assert timedelta(seconds=0.8) == BACKOFF.delay(1, 0.0)
    assert timedelta(seconds=1.2) == BACKOFF.delay(1, 1.0)


@given(failures, chances)
def test_no_delay_leaves_its_bounds(count: int, chance: float) -> None:
    assert timedelta(seconds=0.8) <= BACKOFF.delay(count, chance) <= timedelta(seconds=12)
