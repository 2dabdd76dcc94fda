"""How the danger grows with the age of the last good backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.backups import GROUP
from support.observed import ALPHA, ANN, KEY, ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.job import Ended, StreamState
from tocsin.alert.domain.source_group import SourceGroup, SourceGroupSpec
from tocsin.alert.engine import danger, people, transitions
from tocsin.alert.engine.people import SERVICE
from tocsin.alert.engine.transitions import KeyState
from tocsin.common.ids import uuid7

HOUR = timedelta(hours=1)
SPEC = SourceGroupSpec(GROUP, "host-a", objective=HOUR)


def raised() -> KeyState:
    return transitions.raise_or_touch(KeyState(), failure(0), ORCHESTRATOR, ALPHA, uuid7).state


def acknowledged(state: KeyState) -> KeyState:
    assert state.standing is not None
    act = people.Act(ANN, at(1), "on it", "Alpha")
    return people.acknowledge(state, state.standing, act, at(999)).state


def test_the_age_counts_from_the_last_success_else_from_when_the_group_was_put() -> None:
    group = SourceGroup(SPEC, create_time=at(-600), update_time=at(-10))

    assert at(-600) == danger.last_good(StreamState(), group)
    assert at(-30) == danger.last_good(StreamState(Ended(at(-30), "job-1")), group)


@pytest.mark.parametrize(
    ("multiple", "minutes"),
    [(0, -5), (0, 0), (0, 59), (1, 60), (1, 119), (2, 120), (2, 239), (4, 240), (4, 10_000)],
)
def test_the_multiples_are_1_2_and_4_times_the_objective(multiple: int, minutes: int) -> None:
    assert multiple == danger.multiple_of(timedelta(minutes=minutes), HOUR)


def test_without_an_objective_nothing_is_ever_passed() -> None:
    assert 0 == danger.multiple_of(timedelta(days=999), None)
    assert danger.next_look(at(0), None, at(1), True) is None


@pytest.mark.parametrize(
    ("look", "minutes"),
    [(60, 0), (60, 59), (120, 60), (240, 120), (240, 239), (None, 240), (None, 9_999)],
)
def test_a_sweep_looks_next_when_the_next_multiple_is_passed(
    look: float | None, minutes: float
) -> None:
    expected = None if look is None else at(look)

    assert expected == danger.next_look(at(0), HOUR, at(minutes), False)


@pytest.mark.parametrize(
    ("look", "minutes"),
    [(60, 0), (60, 58), (60.5, 59.5), (61, 60), (101, 100), (241, 240), (10_000, 9_999)],
)
def test_after_a_report_nothing_rises_for_60_s(look: float, minutes: float) -> None:
    assert at(look) == danger.next_look(at(0), HOUR, at(minutes), True)


@pytest.mark.parametrize("multiple", [1, 2, 4])
def test_what_stands_rises_to_critical_with_an_event(multiple: int) -> None:
    state = raised()

    decision = danger.rise(state, multiple, at(60), "Beta")

    alert = decision.state.standing
    assert alert is not None
    assert decision.outcome
    (change,) = decision.changes
    assert (EventType.SEVERITY_CHANGED, SERVICE, at(60), alert) == (
        change.type,
        change.caller,
        change.occur_time,
        change.alert,
    )
    assert (Severity.CRITICAL, multiple, "Beta", 2) == (
        alert.severity,
        alert.objective_multiple,
        alert.host_name,
        alert.version,
    )
    assert (at(0), 1, "it failed") == (alert.last_seen_time, alert.occurrences, alert.message)


def test_each_multiple_is_told_once() -> None:
    state = danger.rise(raised(), 2, at(120), "Alpha").state

    for multiple in (0, 1, 2):
        again = danger.rise(state, multiple, at(120), "Alpha")
        assert (False, state, ()) == (again.outcome, again.state, again.changes)
    higher = danger.rise(state, 4, at(240), "Alpha")
    assert [EventType.SEVERITY_CHANGED] == [change.type for change in higher.changes]
    assert "The last good backup is older than four times its objective." == higher.changes[0].note


def test_a_rise_breaks_an_acknowledgement_first() -> None:
    decision = danger.rise(acknowledged(raised()), 1, at(60), "Alpha")

    broken, risen = decision.changes
    assert (EventType.UNACKNOWLEDGED, Severity.WARNING, 0, 3) == (
        broken.type,
        broken.alert.severity,
        broken.alert.objective_multiple,
        broken.alert.version,
    )
    assert (EventType.SEVERITY_CHANGED, Severity.CRITICAL, 1, 4) == (
        risen.type,
        risen.alert.severity,
        risen.alert.objective_multiple,
        risen.alert.version,
    )
    assert Status.OPEN == broken.alert.status == risen.alert.status
    assert "The last good backup is older than its objective." == broken.note == risen.note


def test_an_alert_that_was_raised_after_its_multiple_was_passed_rises_at_its_raise() -> None:
    (change,) = danger.rise(raised(), 2, at(-30), "Alpha").changes

    assert at(0) == change.occur_time


def test_what_does_not_stand_does_not_rise() -> None:
    healed = transitions.clear(raised(), success(5), ORCHESTRATOR, "Alpha").state

    for state in (KeyState(), healed):
        decision = danger.rise(state, 4, at(240), "Alpha")
        assert (False, state, state.alert, ()) == (
            decision.outcome,
            decision.state,
            decision.alert,
            decision.changes,
        )


def test_a_touch_keeps_the_height_and_the_next_alert_begins_anew() -> None:
    risen = danger.rise(raised(), 1, at(60), "Alpha").state

    touched = transitions.raise_or_touch(risen, failure(70), ORCHESTRATOR, ALPHA, uuid7).state
    healed = transitions.clear(touched, success(80), ORCHESTRATOR, "Alpha").state
    anew = transitions.raise_or_touch(healed, failure(90), ORCHESTRATOR, ALPHA, uuid7).state

    assert touched.standing is not None
    assert anew.standing is not None
    assert (Severity.CRITICAL, 1) == (
        touched.standing.severity,
        touched.standing.objective_multiple,
    )
    assert (Severity.WARNING, 0) == (anew.standing.severity, anew.standing.objective_multiple)


def test_sweeps_that_follow_their_own_looks_pass_every_multiple_at_its_time() -> None:
    looks: list[datetime] = []
    look = danger.next_look(at(0), HOUR, at(0), True)
    state = raised()
    while look is not None:
        looks.append(look)
        multiple = danger.multiple_of(look - at(0), HOUR)
        state = danger.rise(state, multiple, at(0) + multiple * HOUR, "Alpha").state
        look = danger.next_look(at(0), HOUR, look, False)

    assert [at(60), at(120), at(240)] == looks
    assert state.standing is not None
    assert (KEY, 4) == (state.standing.key, state.standing.objective_multiple)


def test_an_alert_raised_when_all_multiples_are_passed_rises_at_once_to_the_highest() -> None:
    group = replace(SourceGroup(SPEC, create_time=at(-999), update_time=at(-999)))
    good = danger.last_good(StreamState(), group)

    look = danger.next_look(good, HOUR, at(0), True)

    assert at(1) == look
    assert 4 == danger.multiple_of(at(1) - good, HOUR)
