"""What becomes of an alert when what could have cleared it is retired."""

from __future__ import annotations

import pytest

from support.observed import ALPHA, ANN, ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.alert import Resolution, ResolveReason
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.outcome import RaiseOutcome
from tocsin.alert.engine import people, transitions
from tocsin.alert.engine.retirement import retire
from tocsin.alert.engine.transitions import Decision, KeyState
from tocsin.common.ids import uuid7

NOTE = "The host was retired."


def raised(state: KeyState, minutes: float) -> Decision[RaiseOutcome]:
    return transitions.raise_or_touch(state, failure(minutes), ORCHESTRATOR, ALPHA, uuid7)


@pytest.mark.parametrize("acknowledge", [False, True], ids=["open", "acknowledged"])
def test_retiring_resolves_what_stands_with_an_event(acknowledge: bool) -> None:
    state = raised(KeyState(), 5).state
    assert state.standing is not None
    if acknowledge:
        act = people.Act(ANN, at(6), "", "Alpha")
        state = people.acknowledge(state, state.standing, act, at(999)).state
    before = state.standing
    assert before is not None

    decision = retire(state, at(60), ANN, "Beta", NOTE)

    alert = decision.alert
    assert alert is not None
    assert decision.outcome
    assert Resolution(at(60), "ann", ResolveReason.RETIRED) == alert.resolution
    assert ("Beta", before.version + 1, before.acknowledgement) == (
        alert.host_name,
        alert.version,
        alert.acknowledgement,
    )
    (change,) = decision.changes
    assert (EventType.RESOLVED, alert, ANN, at(60), NOTE) == (
        change.type,
        change.alert,
        change.caller,
        change.occur_time,
        change.note,
    )


def test_what_does_not_stand_is_left_alone() -> None:
    healed = transitions.clear(raised(KeyState(), 0).state, success(5), ORCHESTRATOR, "A").state

    for state in (KeyState(), healed, retire(raised(healed, 6).state, at(9), ANN, "A", "").state):
        decision = retire(state, at(60), ANN, "Alpha", NOTE)
        assert (False, state, state.alert, ()) == (
            decision.outcome,
            decision.state,
            decision.alert,
            decision.changes,
        )


def test_put_again_it_fails_under_a_clock_that_is_behind_and_stays_down_for_what_was_before() -> (
    None
):
    state = retire(raised(KeyState(), 5).state, at(60), ANN, "Alpha", NOTE).state

    assert RaiseOutcome.STALE == raised(state, 4).outcome
    assert RaiseOutcome.RAISED == raised(state, 6).outcome
