"""A key that is raised again and again flaps, until it has been calm for long enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from support.cases import NOW
from tocsin.notify.domain.flap import NEVER_FLAPPING, Flap, FlapRule
from tocsin.notify.router.flapping import MOST_KEPT, note

if TYPE_CHECKING:
    from datetime import datetime

MINUTE = timedelta(minutes=1)
RULE = FlapRule(raises=6, window=60 * MINUTE, calm=30 * MINUTE)
CALM = Flap("web-1", "backup_failed", "home")


def raised(*minutes: float, rule: FlapRule = RULE) -> tuple[Flap, list[bool]]:
    flap, begun = CALM, []
    for minute in minutes:
        flap, begins = note(flap, NOW + minute * MINUTE, rule)
        if begins:
            flap = replace(flap, subject_id=UUID(int=1))
        begun.append(begins)
    return flap, begun


def test_the_sixth_raise_within_the_hour_begins_it_and_no_later_one_does() -> None:
    flap, begun = raised(0, 10, 20, 30, 40, 50, 55, 56)

    assert [False] * 5 + [True, False, False] == begun
    assert NOW + 86 * MINUTE == flap.until


def test_six_raises_in_more_than_an_hour_are_no_flap() -> None:
    flap, begun = raised(0, 20, 40, 60, 80, 100, 120, 140, 160)

    assert not any(begun)
    assert NOW + 220 * MINUTE == flap.until


def test_each_raise_puts_off_its_end() -> None:
    flap, _ = raised(0, 1, 2, 3, 4, 5)
    assert NOW + 35 * MINUTE == flap.until

    flap, _ = note(flap, NOW + 34 * MINUTE, RULE)
    assert NOW + 64 * MINUTE == flap.until


def test_the_order_of_raises_does_not_matter() -> None:
    assert raised(0, 10, 20, 30, 40, 50)[0] == raised(50, 0, 40, 20, 10, 30)[0]


def test_a_rule_of_zero_raises_never_begins_it() -> None:
    _, begun = raised(*range(50), rule=NEVER_FLAPPING)

    assert not any(begun)


@given(minutes=st.lists(st.floats(0, 500), min_size=1, max_size=150))
def test_what_is_remembered_is_bounded_and_within_the_window(minutes: list[float]) -> None:
    flap, _ = raised(*minutes)
    latest: datetime = max(flap.raise_times)

    assert 1 <= len(flap.raise_times) <= MOST_KEPT
    assert all(latest - time < RULE.window for time in flap.raise_times)
    assert flap.until is not None
    assert flap.until > latest
