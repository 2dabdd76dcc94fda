"""Whoever was told that something is wrong is told what becomes of it; first news may be held."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.notifications import ALERT, a_notification
from tocsin.notify.delivery.telling import (
    HoldRules,
    decide,
    waits_for_its_group,
    without_group_wait,
)
from tocsin.notify.domain.decision import DecisionReason, End, Hold, Send
from tocsin.notify.domain.notice import FlapNotice, NoticeType, Proof
from tocsin.notify.domain.notification import AlertStatus, EventType, Severity
from tocsin.notify.domain.route import QuietHours, Route
from tocsin.notify.domain.telling import Case, Root, Telling

if TYPE_CHECKING:
    from tocsin.notify.domain.decision import Outcome

NOW = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = HoldRules(explained_relook=timedelta(minutes=15), explained_grace=HOUR)
CHANNEL, ROOT, SILENCE = UUID(int=1), UUID(int=2), UUID(int=3)
NIGHT = QuietHours("UTC", time(22), time(6))
MORNING = datetime(2026, 2, 1, 6, tzinfo=UTC)

FIRST_AS_RAISED = [
    EventType.RAISED,
    EventType.SEVERITY_CHANGED,
    EventType.CAUSE_CHANGED,
    EventType.UNACKNOWLEDGED,
    EventType.UNSUPPRESSED,
]
NEWS = [*FIRST_AS_RAISED, EventType.ACKNOWLEDGED]


def a_route(**changes: Any) -> Route:
    return Route(UUID(int=9), 1, "a route", True, (), (CHANNEL,), **changes)


def a_case(
    type: EventType = EventType.RAISED,  # noqa: A002 - the field's name
    *,
    told: bool = False,
    over: bool = False,
    group_key: str = "",
    alert: dict[str, Any] | None = None,
    **changes: Any,
) -> Case:
    case = Case(
        delivery_id=UUID(int=7),
        notification=a_notification(type, alert=replace(ALERT, **(alert or {}))),
        create_time=NOW,
        collapsed_count=0,
        telling=Telling(CHANNEL, ALERT.alert_id, None, group_key, told, over),
    )
    return replace(case, **changes)


# Everything that may hold first news, all at once.
ALL_HOLDS: dict[str, Any] = {
    "route": a_route(quiet_hours=NIGHT, group_wait=HOUR),
    "silence": (SILENCE, NOW + HOUR),
    "root": Root(ROOT, None),
    "flapping_until": NOW + HOUR,
    "alert": {"suppressed_by": ROOT},
}


def decided(case: Case) -> Outcome:
    return decide(case, NOW, RULES)


def test_the_end_of_what_was_never_told_is_not_told() -> None:
    assert End(DecisionReason.NEVER_TOLD) == decided(a_case(EventType.RESOLVED))


@pytest.mark.parametrize("type", [*NEWS, EventType.RESOLVED])
def test_whoever_was_told_hears_what_becomes_of_it_whatever_might_hold_it(type: EventType) -> None:  # noqa: A002
    assert Send(type) == decided(a_case(type, told=True, **ALL_HOLDS))


@pytest.mark.parametrize("type", NEWS)
@pytest.mark.parametrize("told", [True, False])
def test_nothing_but_its_end_is_told_of_an_alert_that_is_over(type: EventType, told: bool) -> None:  # noqa: A002
    assert End(DecisionReason.ALREADY_OVER) == decided(a_case(type, told=told, over=True))


@pytest.mark.parametrize("type", FIRST_AS_RAISED)
def test_what_a_channel_hears_first_of_an_alert_is_told_as_raised(type: EventType) -> None:  # noqa: A002
    assert Send(EventType.RAISED) == decided(a_case(type))


def test_an_acknowledgement_that_comes_first_is_told_as_such_and_as_raised_after_more() -> None:
    alone = a_case(EventType.ACKNOWLEDGED)
    after_more = replace(alone, collapsed_count=1)

    assert Send(EventType.ACKNOWLEDGED) == decided(alone)
    assert Send(EventType.RAISED) == decided(after_more)


def test_a_retry_is_told_as_it_was_begun() -> None:
    begun = a_case(EventType.SEVERITY_CHANGED, told=True, told_as=EventType.RAISED)

    assert Send(EventType.RAISED) == decided(begun)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (DecisionReason.EXPLAINED, ALL_HOLDS),
        (DecisionReason.SILENCED, {**ALL_HOLDS, "alert": {}}),
        (DecisionReason.FLAPPING, {**ALL_HOLDS, "alert": {}, "silence": None}),
        (
            DecisionReason.QUIET_HOURS,
            {**ALL_HOLDS, "alert": {}, "silence": None, "flapping_until": None},
        ),
        (DecisionReason.GROUP_WAIT, {"route": a_route(group_wait=HOUR)}),
    ],
)
def test_of_several_holds_one_is_told_of(reason: DecisionReason, changes: dict[str, Any]) -> None:
    outcome = decided(a_case(**changes))

    assert isinstance(outcome, Hold)
    assert reason is outcome.reason
    assert outcome.until > NOW


def test_first_news_are_held_until_the_silence_ends_that_ends_last() -> None:
    silenced = a_case(silence=(SILENCE, NOW + HOUR))

    assert Hold(DecisionReason.SILENCED, NOW + HOUR, SILENCE) == decided(silenced)


def test_what_is_not_critical_waits_for_the_morning() -> None:
    quiet = a_case(route=a_route(quiet_hours=NIGHT))
    critical = a_case(route=a_route(quiet_hours=NIGHT), alert={"severity": Severity.CRITICAL})

    assert Hold(DecisionReason.QUIET_HOURS, MORNING) == decided(quiet)
    assert Send(EventType.RAISED) == decided(critical)


def test_what_an_open_alert_explains_is_looked_at_again_and_again() -> None:
    explained = a_case(root=Root(ROOT, None), alert={"suppressed_by": ROOT})

    assert Hold(DecisionReason.EXPLAINED, NOW + RULES.explained_relook, ROOT) == decided(explained)


def test_what_outlives_its_root_by_the_grace_is_told_by_itself() -> None:
    soon = a_case(root=Root(ROOT, NOW - HOUR / 2), alert={"suppressed_by": ROOT})
    now = a_case(root=Root(ROOT, NOW - HOUR), alert={"suppressed_by": ROOT})

    assert Hold(DecisionReason.EXPLAINED, NOW + HOUR / 2, ROOT) == decided(soon)
    assert Send(EventType.RAISED) == decided(now)


def test_a_group_waits_from_the_first_news_on_and_a_mate_goes_along_before() -> None:
    route = a_route(group_wait=HOUR)
    waiting = a_case(route=route, group_key="g", create_time=NOW - HOUR / 4)

    assert Hold(DecisionReason.GROUP_WAIT, NOW + HOUR * 3 / 4) == decided(waiting)
    assert Send(EventType.RAISED) == decided(without_group_wait(waiting))
    assert Send(EventType.RAISED) == decided(replace(waiting, create_time=NOW - HOUR))


def test_only_first_news_of_a_route_that_groups_wait_for_others() -> None:
    route = a_route(group_wait=HOUR)

    assert waits_for_its_group(a_case(route=route, group_key="g"))
    assert not waits_for_its_group(a_case(route=route, group_key="g", told=True))
    assert not waits_for_its_group(a_case(route=route, group_key="g", told_as=EventType.RAISED))
    assert not waits_for_its_group(a_case(route=None, group_key="g"))


@pytest.mark.parametrize(
    "changes",
    [
        {"over": True},
        {"alert": {"status": AlertStatus.ACKNOWLEDGED}},
        {"silence": (SILENCE, NOW + HOUR)},
        {"expire_time": NOW},
    ],
)
def test_a_reminder_ends_where_there_is_nothing_to_remind_of(changes: dict[str, Any]) -> None:
    assert isinstance(decided(a_case(EventType.REMINDER, told=True, **changes)), End)


def test_a_reminder_of_what_is_not_critical_waits_for_the_morning() -> None:
    quiet = a_case(EventType.REMINDER, told=True, route=a_route(quiet_hours=NIGHT))

    assert Hold(DecisionReason.QUIET_HOURS, MORNING) == decided(quiet)
    assert Send(EventType.REMINDER) == decided(a_case(EventType.REMINDER, told=True))


def test_a_message_of_our_own_is_told_until_it_is_of_no_use() -> None:
    proof = replace(
        a_case(), notification=Proof(UUID(int=5), NOW, "a route", 0, 0, 0, ()), expire_time=NOW
    )

    assert End(DecisionReason.TOO_LATE) == decided(proof)
    assert Send(NoticeType.PROOF) == decided(replace(proof, expire_time=NOW + HOUR))


def a_flap(type: NoticeType, **changes: Any) -> Case:  # noqa: A002 - the field's name
    notice = FlapNotice(
        event_id=UUID(int=5),
        type=type,
        subject_id=UUID(int=6),
        alert_id=ALERT.alert_id,
        host_id="web-1",
        host_name="web-1",
        kind="backup_failed",
        dedup_key="",
        severity=Severity.WARNING,
        raises=6,
        window=HOUR,
        is_open=True,
        occur_time=NOW,
    )
    return replace(a_case(**changes), notification=notice)


def test_that_a_key_is_steady_again_is_told_whoever_heard_that_it_was_not() -> None:
    assert Send(NoticeType.STEADY) == decided(a_flap(NoticeType.STEADY, told=True, over=True))
    assert End(DecisionReason.NEVER_TOLD) == decided(a_flap(NoticeType.STEADY, over=True))
    assert End(DecisionReason.ALREADY_OVER) == decided(a_flap(NoticeType.FLAPPING, over=True))


def test_that_a_key_flaps_waits_for_the_morning_unless_it_is_critical() -> None:
    quiet = a_flap(NoticeType.FLAPPING, route=a_route(quiet_hours=NIGHT))

    assert Hold(DecisionReason.QUIET_HOURS, MORNING) == decided(quiet)
    assert Send(NoticeType.FLAPPING) == decided(replace(quiet, route=None))


@given(
    history=st.lists(
        st.tuples(
            st.sampled_from([*NEWS, EventType.RESOLVED]),
            st.sampled_from(["arrives", "maybe", "lost"]),
        )
    )
)
def test_over_any_history_the_end_is_told_exactly_if_something_before_it_may_have_been(
    history: list[tuple[EventType, str]],
) -> None:
    told = False
    for event_type, fate in history:
        outcome = decided(a_case(event_type, told=told))
        if event_type is EventType.RESOLVED:
            assert isinstance(outcome, Send) == told
        else:
            assert isinstance(outcome, Send)
            assert told or outcome.told_as in {EventType.RAISED, EventType.ACKNOWLEDGED}
        if isinstance(outcome, Send) and fate != "lost":
            told = True
