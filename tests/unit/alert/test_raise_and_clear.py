"""The rows of the contract that observations decide, as pure decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from support.observed import ALPHA, ANN, BOB, KEY, ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.alert import Alert, ResolveReason, Severity, Status, Subject
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.observation import Failure
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.engine import people, transitions
from tocsin.alert.engine.transitions import HostFacts, KeyState
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from tocsin.alert.domain.observation import Success
    from tocsin.alert.engine.transitions import Change, Decision

NOTHING = KeyState()


def raised(state: KeyState, observed: Failure) -> Decision[RaiseOutcome]:
    return transitions.raise_or_touch(state, observed, ORCHESTRATOR, ALPHA, uuid7)


def cleared(state: KeyState, observed: Success) -> Decision[ClearOutcome]:
    return transitions.clear(state, observed, ORCHESTRATOR, "Alpha")


def after(*observations: Failure | Success) -> KeyState:
    """Return the key's state after observations in this order of arrival."""
    state = NOTHING
    for observed in observations:
        if isinstance(observed, Failure):
            state = raised(state, observed).state
        else:
            state = cleared(state, observed).state
    return state


def acknowledged(state: KeyState) -> KeyState:
    act = people.Act(ANN, at(60), "on it", "Alpha")
    return people.acknowledge(state, standing(state), act, at(24 * 60)).state


def resolved_by_hand(state: KeyState, minutes: float) -> KeyState:
    return people.resolve(state, standing(state), people.Act(BOB, at(minutes), "", "Alpha")).state


def standing(state: KeyState) -> Alert:
    assert state.standing is not None
    return state.standing


def kinds(changes: tuple[Change, ...]) -> list[EventType]:
    return [change.type for change in changes]


def test_a_raise_with_nothing_open_is_raised_with_an_event() -> None:
    observed = failure(1, cause="locked", labels={"team": "storage"})

    decision = raised(NOTHING, observed)

    alert = standing(decision.state)
    assert RaiseOutcome.RAISED == decision.outcome
    assert alert == decision.alert
    assert Status.OPEN == alert.status
    assert (KEY, "Alpha", "it failed", "locked") == (
        alert.key,
        alert.host_name,
        alert.message,
        alert.cause,
    )
    assert (at(1), at(1), 1, 1) == (
        alert.raise_time,
        alert.last_seen_time,
        alert.occurrences,
        alert.version,
    )
    assert {"team": "storage"} == alert.labels
    assert alert.previous_alert_id is None
    (change,) = decision.changes
    assert (EventType.RAISED, alert, ORCHESTRATOR, at(1)) == (
        change.type,
        change.alert,
        change.caller,
        change.occur_time,
    )


def test_an_alert_bears_its_subject_and_its_host_as_they_were_when_it_was_raised() -> None:
    subject = Subject("group-1", "repo-1", "nightly")
    observed = failure(0)._replace(subject=subject)
    host = HostFacts("Alpha", {"rack": "7"})
    moved = HostFacts("Beta", {"rack": "8"})

    raised = transitions.raise_or_touch(NOTHING, observed, ORCHESTRATOR, host, uuid7)
    touched = transitions.raise_or_touch(raised.state, failure(1), ORCHESTRATOR, moved, uuid7)

    first, second = standing(raised.state), standing(touched.state)
    assert (subject, {"rack": "7"}, None) == (
        first.subject,
        first.host_labels,
        first.suppressed_by,
    )
    assert (subject, {"rack": "7"}, "Beta") == (
        second.subject,
        second.host_labels,
        second.host_name,
    )


@pytest.mark.parametrize("acknowledge", [False, True], ids=["open", "acknowledged"])
def test_a_raise_of_what_stands_is_a_touch_without_an_event(acknowledge: bool) -> None:
    state = after(failure(0, message="first", labels={"a": "1"}))
    state = acknowledged(state) if acknowledge else state
    before = standing(state)

    decision = raised(state, failure(5, message="second", labels={"b": "2"}))

    alert = standing(decision.state)
    assert RaiseOutcome.TOUCHED == decision.outcome
    assert () == decision.changes
    assert before.alert_id == alert.alert_id
    assert (2, at(0), at(5), "second") == (
        alert.occurrences,
        alert.raise_time,
        alert.last_seen_time,
        alert.message,
    )
    assert before.version + 1 == alert.version
    assert {"a": "1"} == alert.labels
    assert before.status == alert.status


def test_a_touch_observed_earlier_counts_but_does_not_turn_back_time_or_message() -> None:
    state = after(failure(5, message="later", cause="locked"))

    decision = raised(state, failure(2, message="earlier", cause="wrong_password"))

    alert = standing(decision.state)
    assert (2, at(5), "later", "locked") == (
        alert.occurrences,
        alert.last_seen_time,
        alert.message,
        alert.cause,
    )
    assert at(5) == alert.raise_time
    assert () == decision.changes


def test_of_two_failures_at_one_time_the_message_of_the_one_that_came_later_stays() -> None:
    state = after(failure(5, message="one"), failure(5, message="two"))

    assert "two" == standing(state).message


def test_an_empty_message_or_cause_leaves_what_is_known() -> None:
    state = after(failure(0, message="known", cause="locked"), failure(1, message="", cause=""))

    assert ("known", "locked") == (standing(state).message, standing(state).cause)


def test_a_higher_severity_is_touched_with_an_event() -> None:
    state = after(failure(0))

    decision = raised(state, failure(1, severity=Severity.CRITICAL))

    assert RaiseOutcome.TOUCHED == decision.outcome
    assert [EventType.SEVERITY_CHANGED] == kinds(decision.changes)
    assert Severity.CRITICAL == standing(decision.state).severity
    assert 2 == standing(decision.state).version
    assert standing(decision.state) == decision.changes[-1].alert == decision.alert


def test_a_higher_severity_counts_also_when_it_was_observed_earlier() -> None:
    state = after(failure(5))

    decision = raised(state, failure(1, severity=Severity.CRITICAL))

    assert Severity.CRITICAL == standing(decision.state).severity
    assert [EventType.SEVERITY_CHANGED] == kinds(decision.changes)
    assert at(1) == decision.changes[0].occur_time


def test_severity_never_falls_while_open() -> None:
    state = after(failure(0, severity=Severity.CRITICAL))

    decision = raised(state, failure(1, severity=Severity.INFO))

    assert Severity.CRITICAL == standing(decision.state).severity
    assert () == decision.changes


@pytest.mark.parametrize("known", ["", "locked"], ids=["first cause", "another cause"])
def test_another_cause_is_touched_with_an_event(known: str) -> None:
    state = after(failure(0, cause=known))

    decision = raised(state, failure(1, cause="wrong_password"))

    assert RaiseOutcome.TOUCHED == decision.outcome
    assert [EventType.CAUSE_CHANGED] == kinds(decision.changes)
    assert "wrong_password" == standing(decision.state).cause


def test_what_gets_worse_breaks_an_acknowledgement_first_one_version_a_step() -> None:
    state = acknowledged(after(failure(0, cause="locked")))
    before = standing(state)

    decision = raised(
        state, failure(9, severity=Severity.CRITICAL, cause="no_space", message="worse")
    )

    broken, severity, cause = decision.changes
    assert [
        EventType.UNACKNOWLEDGED,
        EventType.SEVERITY_CHANGED,
        EventType.CAUSE_CHANGED,
    ] == kinds(decision.changes)
    assert [before.version + 1, before.version + 2, before.version + 3] == [
        change.alert.version for change in decision.changes
    ]
    assert (Status.OPEN, Severity.WARNING, "locked", 2, "worse") == (
        broken.alert.status,
        broken.alert.severity,
        broken.alert.cause,
        broken.alert.occurrences,
        broken.alert.message,
    )
    assert (Severity.CRITICAL, "locked") == (severity.alert.severity, severity.alert.cause)
    assert (Severity.CRITICAL, "no_space") == (cause.alert.severity, cause.alert.cause)
    assert cause.alert == standing(decision.state)
    assert (
        "The severity rose from WARNING to CRITICAL and the cause is now no_space, "
        "formerly locked." == broken.note
    )
    assert all(change.caller == ORCHESTRATOR for change in decision.changes)


def test_a_late_failure_does_not_reopen_a_healed_alert() -> None:
    state = after(failure(0), success(10))

    decision = raised(state, failure(9))

    assert RaiseOutcome.STALE == decision.outcome
    assert state is decision.state
    assert () == decision.changes
    assert state.alert == decision.alert


def test_a_failure_older_than_the_last_clear_is_stale_also_while_a_newer_alert_stands() -> None:
    state = after(failure(0), success(10), failure(20))

    decision = raised(state, failure(9, severity=Severity.CRITICAL))

    assert RaiseOutcome.STALE == decision.outcome
    assert state is decision.state


def test_a_stale_failure_of_a_key_that_never_had_an_alert_is_answered_without_one() -> None:
    decision = raised(after(success(10)), failure(9))

    assert (RaiseOutcome.STALE, None) == (decision.outcome, decision.alert)


def test_a_failure_at_the_very_time_of_the_clear_wins() -> None:
    state = after(failure(0), success(10))

    decision = raised(state, failure(10))

    assert RaiseOutcome.RAISED == decision.outcome


def test_the_next_alert_of_a_key_names_the_one_before() -> None:
    healed = after(failure(0), success(10))

    alert = standing(raised(healed, failure(11)).state)

    assert healed.alert is not None
    assert healed.alert.alert_id == alert.previous_alert_id
    assert isinstance(alert.previous_alert_id, UUID)


@pytest.mark.parametrize("acknowledge", [False, True], ids=["open", "acknowledged"])
def test_a_clear_of_what_stands_resolves_it_with_an_event(acknowledge: bool) -> None:
    state = after(failure(0))
    state = acknowledged(state) if acknowledge else state
    before = standing(state)

    decision = cleared(state, success(10, message="backup ok"))

    alert = decision.alert
    assert ClearOutcome.RESOLVED == decision.outcome
    assert alert is not None
    assert alert.resolution is not None
    assert (Status.RESOLVED, ResolveReason.AUTO, at(10), "orchestrator") == (
        alert.status,
        alert.resolution.reason,
        alert.resolution.time,
        alert.resolution.actor,
    )
    assert before.acknowledgement == alert.acknowledgement
    assert before.version + 1 == alert.version
    assert at(10) == decision.state.cleared_time
    (change,) = decision.changes
    assert (EventType.RESOLVED, alert, at(10), "backup ok") == (
        change.type,
        change.alert,
        change.occur_time,
        change.note,
    )


@pytest.mark.parametrize("minutes", [4, 5], ids=["before", "at the same time"])
def test_a_late_success_does_not_close_a_newer_failure(minutes: float) -> None:
    state = after(failure(0), failure(5))

    decision = cleared(state, success(minutes))

    assert ClearOutcome.STALE == decision.outcome
    assert state is decision.state
    assert standing(state) == decision.alert
    assert () == decision.changes


def test_a_clear_with_nothing_open_is_remembered_by_the_key() -> None:
    decision = cleared(NOTHING, success(10))

    assert (ClearOutcome.NOTHING_OPEN, None, ()) == (
        decision.outcome,
        decision.alert,
        decision.changes,
    )
    assert at(10) == decision.state.cleared_time
    assert RaiseOutcome.STALE == raised(decision.state, failure(9)).outcome


def test_the_time_of_the_clear_never_falls() -> None:
    state = after(failure(0), success(10), success(7))

    assert at(10) == state.cleared_time


def test_after_a_resolve_by_hand_a_newer_failure_from_a_slow_clock_still_rings() -> None:
    state = resolved_by_hand(after(failure(0), failure(5)), minutes=60)

    decision = raised(state, failure(6))

    assert at(5) == state.cleared_time
    assert RaiseOutcome.RAISED == decision.outcome


def test_after_a_resolve_by_hand_a_failure_older_than_the_last_seen_stays_down() -> None:
    state = resolved_by_hand(after(failure(0), failure(5)), minutes=60)

    assert RaiseOutcome.STALE == raised(state, failure(4)).outcome
