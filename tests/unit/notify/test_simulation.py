"""Who would be told of events, and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from support.notifications import ALERT, AT, a_notification
from tocsin.notify.domain.matcher import Matcher, MatchField, MatchOperator
from tocsin.notify.domain.notification import EventType, Notification, Severity
from tocsin.notify.domain.route import QuietHours, Route
from tocsin.notify.domain.silence import Silence
from tocsin.notify.router.simulation import Simulation, Told

ONE, TWO = UUID(int=1), UUID(int=2)
ALL_DAY = QuietHours("UTC", time(0), time(0))


def a_route(channel_id: UUID, kind: str, **fields: Any) -> Route:
    matchers = (Matcher(MatchField.KIND, MatchOperator.ANY_OF, (kind,)),)
    return Route(UUID(int=100), 1, "route", True, matchers, (channel_id,), **fields)


def news(event_type: EventType = EventType.RAISED, number: int = 1, **fields: Any) -> Notification:
    return a_notification(event_type, alert=replace(ALERT, alert_id=UUID(int=number), **fields))


def simulated(
    *events: Notification, routes: tuple[Route, ...] = (), silences: tuple[Silence, ...] = ()
) -> Simulation:
    simulation = Simulation(routes, {ONE, TWO}, silences)
    for event in events:
        simulation.take_in(event)
    return simulation


def counts(told: Told) -> tuple[int, int, int]:
    return told.event_count, told.raised_count, told.held_count


def test_without_routes_every_channel_is_told_of_everything() -> None:
    simulation = simulated(news(), news(EventType.RESOLVED), news(number=2))
    assert {ONE: (3, 2, 0), TWO: (3, 2, 0)} == {
        channel_id: counts(told) for channel_id, told in simulation.told.items()
    }


def test_what_a_channel_was_told_of_is_followed_up_whatever_the_routes_say() -> None:
    route = a_route(ONE, "backup_failed")
    simulation = simulated(
        news(),
        news(EventType.CAUSE_CHANGED, kind="renamed"),
        news(number=2, kind="other"),
        routes=(route,),
    )
    assert {ONE: (2, 1, 0)} == {
        channel_id: counts(told) for channel_id, told in simulation.told.items()
    }
    assert {route.route_id: 1} == simulation.told[ONE].routes
    assert {"other": 1} == simulation.untold


def test_the_first_that_a_channel_hears_begins_something_unless_it_is_an_end() -> None:
    simulation = simulated(
        news(EventType.SEVERITY_CHANGED),
        news(EventType.RESOLVED, 2),
        news(EventType.ACKNOWLEDGED, 3),
    )
    assert (3, 1, 0) == counts(simulation.told[ONE])


def test_quiet_hours_hold_what_is_not_critical() -> None:
    route = a_route(ONE, "backup_failed", quiet_hours=ALL_DAY)
    simulation = simulated(news(), news(number=2, severity=Severity.CRITICAL), routes=(route,))
    assert (2, 2, 1) == counts(simulation.told[ONE])


def test_what_another_alert_explains_is_held_first() -> None:
    assert (1, 1, 1) == counts(simulated(news(suppressed_by=UUID(int=9))).told[ONE])


def test_a_silence_counts_at_the_time_of_the_event() -> None:
    silence = Silence(
        silence_id=UUID(int=7),
        matchers=(Matcher(MatchField.HOST_ID, MatchOperator.ANY_OF, ("web-1",)),),
        start_time=AT,
        end_time=AT + timedelta(hours=1),
        recurrence=None,
        duration=None,
        author="",
        reason="",
        create_time=AT,
        created_by="",
    )
    before = replace(news(number=2), occur_time=datetime(2026, 1, 1, tzinfo=UTC))
    assert (2, 2, 1) == counts(simulated(news(), before, silences=(silence,)).told[ONE])
