"""Whoever was told that something is wrong is told that it is over; nobody else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.delivery.telling import NEVER_TOLD, reason_not_to_tell
from tocsin.notify.domain.notification import EventType

NEWS = [each for each in EventType if each is not EventType.RESOLVED]


def test_a_resolved_alert_that_was_never_told_is_not_told() -> None:
    assert NEVER_TOLD == reason_not_to_tell(EventType.RESOLVED, maybe_told=False)


def test_a_resolved_alert_that_may_have_been_told_is_told() -> None:
    assert reason_not_to_tell(EventType.RESOLVED, maybe_told=True) is None


@given(event_type=st.sampled_from(NEWS), maybe_told=st.booleans())
def test_news_of_an_alert_is_always_told(event_type: EventType, maybe_told: bool) -> None:
    assert reason_not_to_tell(event_type, maybe_told=maybe_told) is None


@given(
    history=st.lists(
        st.tuples(st.sampled_from(EventType), st.sampled_from(["arrives", "maybe", "lost"]))
    )
)
def test_over_any_history_resolved_is_told_exactly_if_something_before_it_may_have_been(
    history: list[tuple[EventType, str]],
) -> None:
    told = False
    for event_type, fate in history:
        reason = reason_not_to_tell(event_type, maybe_told=told)
        if event_type is EventType.RESOLVED:
            assert (reason is None) == told
        if reason is None and fate != "lost":
            told = True
