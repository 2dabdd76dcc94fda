"""Of the news of one alert that wait for one channel, the newest is left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.notification import EventType
from tocsin.notify.domain.telling import Telling
from tocsin.notify.store.collapse import NewDelivery, Waiting, collapse, telling_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CHANNEL, ROUTE, OTHER_ROUTE = UUID(int=1), UUID(int=2), UUID(int=3)


def new(number: int, alert: int = 1, **changes: Any) -> NewDelivery:
    row = NewDelivery(
        delivery_id=UUID(int=1_000 + number),
        channel_id=CHANNEL,
        alert_id=UUID(int=alert),
        event_id=UUID(int=2_000 + number),
        sequence=number,
        type=EventType.CAUSE_CHANGED,
    )
    return replace(row, **changes)


def telling(alert: int = 1, **changes: Any) -> Telling:
    present = Telling(CHANNEL, UUID(int=alert), ROUTE, "key", maybe_told=False, is_over=False)
    return replace(present, **changes)


TELLINGS = {(CHANNEL, UUID(int=alert)): telling(alert) for alert in range(1, 6)}
OLD = Waiting(UUID(int=7), EventType.RAISED, DeliveryState.PENDING, LATER, 4)
WAITING = {(CHANNEL, UUID(int=1)): OLD}


def test_the_new_one_takes_over_the_time_of_a_retry_and_stands_for_the_old_one_too() -> None:
    plan = collapse([new(1)], WAITING, TELLINGS, NOW)

    assert [(OLD.delivery_id, new(1).delivery_id)] == plan.superseded
    assert [(LATER, 5)] == [(each.next_attempt_time, each.collapsed_count) for each in plan.placed]


def test_what_held_the_old_one_is_asked_anew() -> None:
    held = {(CHANNEL, UUID(int=1)): replace(OLD, state=DeliveryState.HELD)}

    plan = collapse([new(1)], held, TELLINGS, NOW)

    assert [NOW] == [each.next_attempt_time for each in plan.placed]


def test_a_reminder_of_what_is_about_to_be_told_is_left_out() -> None:
    reminder = new(1, type=EventType.REMINDER, is_known=True)

    plan = collapse([reminder], WAITING, TELLINGS, NOW)

    assert ([], []) == (plan.placed, plan.superseded)
    assert plan.tellings == TELLINGS


def test_news_do_not_stand_for_a_reminder() -> None:
    plan = collapse([new(1, type=EventType.REMINDER), new(2)], {}, TELLINGS, NOW)

    assert [(new(2).delivery_id, 0), (None, 0)] == [
        (each.superseded_by, each.collapsed_count) for each in plan.placed
    ]


def test_what_follows_leaves_the_route_as_it_is() -> None:
    other = new(1, route_id=OTHER_ROUTE, group_key="other")

    assert (OTHER_ROUTE, "other") == (
        telling_after(telling(), other).route_id,
        telling_after(telling(), other).group_key,
    )
    assert telling() == telling_after(telling(), replace(other, follows=True))


def test_nobody_is_reminded_of_what_is_known_or_over() -> None:
    due = telling(next_reminder_time=LATER, reminder_count=2)

    for row in (new(1, follows=True, is_known=True), new(1, follows=True, is_over=True)):
        after = telling_after(due, row)
        assert (None, 0) == (after.next_reminder_time, after.reminder_count)
    assert due == telling_after(due, new(1, follows=True))


def test_an_end_is_for_good_unless_a_comparison_with_the_log_says_otherwise() -> None:
    over = telling_after(telling(), new(1, is_over=True))

    assert over.is_over
    assert telling_after(over, new(2)).is_over
    assert not telling_after(over, new(2, reopens=True)).is_over


@given(
    st.lists(st.integers(1, 5)),
    st.dictionaries(
        st.integers(1, 5),
        st.builds(
            Waiting,
            st.uuids(),
            st.just(EventType.RAISED),
            st.sampled_from([DeliveryState.PENDING, DeliveryState.HELD]),
            st.sampled_from([NOW, LATER]),
            st.integers(0, 9),
        ),
    ),
)
def test_one_of_each_alert_is_left_and_stands_for_all_of_it(
    alerts: list[int], before: dict[int, Waiting]
) -> None:
    rows = [new(number, alert) for number, alert in enumerate(alerts, 1)]
    waiting = {(CHANNEL, UUID(int=alert)): each for alert, each in before.items()}

    plan = collapse(rows, waiting, TELLINGS, NOW)

    left = {each.new.alert_id: each for each in plan.placed if each.superseded_by is None}
    assert {UUID(int=alert) for alert in alerts} == set(left)
    for alert in set(alerts):
        stood_for = before[alert].collapsed_count + 1 if alert in before else 0
        latest = left[UUID(int=alert)]
        assert alerts.count(alert) - 1 + stood_for == latest.collapsed_count
        assert max(n for n, each in enumerate(alerts, 1) if each == alert) == latest.new.sequence
