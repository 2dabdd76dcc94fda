"""Percentiles, the answer of the bench to how long calls take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.percentiles import p50_and_p99, percentile

times = st.lists(st.floats(0, 1e6), min_size=1)


def test_the_median_and_the_99th_percentile_are_values_that_were_measured() -> None:
    assert (50, 99) == p50_and_p99(range(100, 0, -1))


def test_of_one_value_every_percentile_is_that_value() -> None:
    assert (7, 7) == p50_and_p99([7])


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="Nothing was measured"):
        percentile([], 0.5)


@given(times, st.floats(0, 1))
def test_at_least_the_share_of_the_values_is_no_greater_than_the_percentile(
    values: list[float], share: float
) -> None:
    found = percentile(sorted(values), share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


@given(times, st.floats(0.01, 1))
def test_less_than_the_share_of_the_values_is_smaller_than_the_percentile(
    values: list[float], share: float
) -> None:
    found = percentile(sorted(values), share)

    assert sum(value < found for value in values) < share * len(values)
