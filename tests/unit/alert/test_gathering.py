"""How large a batch is to become, and how long it may wait for that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alert.ledger.gathering import LONGEST_SECONDS, Gathering

SIZES = st.integers(min_value=1, max_value=500)
SECONDS = st.floats(min_value=0, max_value=10)


def after(*batches: tuple[int, float]) -> Gathering:
    gathering = Gathering()
    for size, seconds in batches:
        gathering.wrote(size, seconds)
    return gathering


def test_the_first_command_waits_for_nobody() -> None:
    assert 1 == Gathering().wanted


@pytest.mark.parametrize("size", [1, 2])
def test_after_a_command_or_two_the_next_waits_for_nobody(size: int) -> None:
    assert 1 == after((size, 0.001)).wanted


def test_after_a_batch_the_next_waits_for_four_in_five_as_many() -> None:
    assert 40 == after((50, 0.001)).wanted


def test_a_batch_waits_no_longer_than_the_last_took() -> None:
    assert 0.002 == after((50, 0.001), (50, 0.002)).seconds


def test_a_batch_waits_no_longer_than_the_bound_though_the_last_took_longer() -> None:
    assert LONGEST_SECONDS == after((50, 1.0)).seconds


def test_one_small_batch_between_large_ones_is_not_the_new_measure() -> None:
    assert 32 == after((50, 0.001), (1, 0.001)).wanted


def test_whoever_stays_alone_waits_for_nobody_after_some_batches() -> None:
    assert 1 == after((500, 0.001), *[(1, 0.001)] * 30).wanted


@given(st.lists(st.tuples(SIZES, SECONDS), max_size=20))
def test_no_batch_waits_for_more_than_there_ever_were(batches: list[tuple[int, float]]) -> None:
    gathering = after(*batches)

    assert 1 <= gathering.wanted <= max((size for size, _ in batches), default=1)
    assert 0 <= gathering.seconds <= LONGEST_SECONDS
