"""The rows of the contract that people decide, as pure decisions."""

from __future__ import annotations

import pytest

from support.observed import ALPHA, ANN, BOB, ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.alert import Acknowledgement, Alert, ResolveReason, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.engine import people, transitions
from tocsin.alert.engine.transitions import KeyState
from tocsin.common.errors import FailedPreconditionError
from tocsin.common.ids import uuid7

DAY = 24 * 60.0


def opened() -> KeyState:
    return transitions.raise_or_touch(KeyState(), failure(0), ORCHESTRATOR, ALPHA, uuid7).state


def healed() -> KeyState:
    return transitions.clear(opened(), success(5), ORCHESTRATOR, "Alpha").state


def latest(state: KeyState) -> Alert:
    assert state.alert is not None
    return state.alert


def by_ann(minutes: float) -> people.Act:
    return people.Act(ANN, at(minutes), "I look at it", "Alpha, renamed")


def by_bob(minutes: float) -> people.Act:
    return people.Act(BOB, at(minutes), "me too", "Alpha")


def acknowledged(minutes: float = 10, until: float = DAY) -> KeyState:
    state = opened()
    return people.acknowledge(state, latest(state), by_ann(minutes), at(until)).state


def test_an_acknowledgement_is_recorded_with_its_actor_note_and_time() -> None:
    state = opened()

    decision = people.acknowledge(state, latest(state), by_ann(10), at(DAY))

    alert = latest(decision.state)
    assert decision.outcome
    assert (Status.ACKNOWLEDGED, 2, "Alpha, renamed") == (
        alert.status,
        alert.version,
        alert.host_name,
    )
    assert Acknowledgement(at(10), "ann", "I look at it", at(DAY)) == alert.acknowledgement
    (change,) = decision.changes
    assert (EventType.ACKNOWLEDGED, alert, ANN, at(10), "I look at it") == (
        change.type,
        change.alert,
        change.caller,
        change.occur_time,
        change.note,
    )


def test_to_acknowledge_twice_changes_nothing_and_the_first_actor_stays() -> None:
    state = acknowledged()

    decision = people.acknowledge(state, latest(state), by_bob(20), at(9 * DAY))

    assert not decision.outcome
    assert state is decision.state
    assert latest(state) == decision.alert
    assert () == decision.changes


def test_to_acknowledge_a_resolved_alert_is_refused() -> None:
    state = healed()

    with pytest.raises(FailedPreconditionError) as refusal:
        people.acknowledge(state, latest(state), by_ann(10), at(DAY))

    assert "ALERT_RESOLVED" == refusal.value.reason
    assert str(latest(state).alert_id) in refusal.value.message


def test_an_acknowledgement_past_its_time_lapses_and_the_alert_is_open_again() -> None:
    state = acknowledged(until=60)

    decision = people.lapse(state, latest(state), at(61), "Alpha")

    alert = latest(decision.state)
    assert decision.outcome
    assert (Status.OPEN, None, 3) == (alert.status, alert.acknowledgement, alert.version)
    (change,) = decision.changes
    assert (EventType.UNACKNOWLEDGED, "tocsin-alert", at(60)) == (
        change.type,
        change.caller.actor,
        change.occur_time,
    )
    assert "The acknowledgement by ann expired." == change.note


def test_an_acknowledgement_lapses_at_its_very_time() -> None:
    state = acknowledged(until=60)

    assert not people.lapse(state, latest(state), at(59.99), "Alpha").outcome
    assert people.lapse(state, latest(state), at(60), "Alpha").outcome


@pytest.mark.parametrize("make", [opened, healed, acknowledged])
def test_nothing_lapses_that_is_open_resolved_or_acknowledged_for_longer(
    make: type[KeyState],
) -> None:
    state = make()

    decision = people.lapse(state, latest(state), at(61), "Alpha")

    assert not decision.outcome
    assert state is decision.state
    assert () == decision.changes


def test_who_acknowledges_after_the_expiry_is_the_actor_also_before_a_sweep_has_seen_it() -> None:
    state = acknowledged(until=60)

    decision = people.acknowledge(state, latest(state), by_bob(61), at(DAY))

    assert decision.outcome
    assert [EventType.UNACKNOWLEDGED, EventType.ACKNOWLEDGED] == [
        change.type for change in decision.changes
    ]
    assert ["tocsin-alert", "bob"] == [change.caller.actor for change in decision.changes]
    assert [3, 4] == [change.alert.version for change in decision.changes]
    acknowledgement = latest(decision.state).acknowledgement
    assert acknowledgement is not None
    assert "bob" == acknowledgement.actor


@pytest.mark.parametrize("make", [opened, acknowledged])
def test_a_resolve_by_hand_is_recorded_and_keeps_the_acknowledgement(
    make: type[KeyState],
) -> None:
    state = make()
    before = latest(state)

    decision = people.resolve(state, before, by_bob(30))

    alert = latest(decision.state)
    assert decision.outcome
    assert alert.resolution is not None
    assert (Status.RESOLVED, ResolveReason.MANUAL, at(30), "bob") == (
        alert.status,
        alert.resolution.reason,
        alert.resolution.time,
        alert.resolution.actor,
    )
    assert before.acknowledgement == alert.acknowledgement
    (change,) = decision.changes
    assert (EventType.RESOLVED, alert, BOB, at(30), "me too") == (
        change.type,
        change.alert,
        change.caller,
        change.occur_time,
        change.note,
    )


def test_after_a_resolve_by_hand_the_keys_clock_stands_at_what_was_last_observed() -> None:
    state = opened()

    decision = people.resolve(state, latest(state), by_bob(30))

    assert at(0) == decision.state.cleared_time


def test_to_resolve_twice_changes_nothing_and_the_first_actor_stays() -> None:
    standing = opened()
    state = people.resolve(standing, latest(standing), by_bob(30)).state

    decision = people.resolve(state, latest(state), by_ann(40))

    assert not decision.outcome
    assert state is decision.state
    assert latest(state) == decision.alert
    assert () == decision.changes
