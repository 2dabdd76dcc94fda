"""Which alert explains another, and how it comes out when the explanation is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.observed import ALPHA, ANN, KEY, ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.alert import Status, Subject
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.key import Key
from tocsin.alert.engine import dependencies, people, transitions
from tocsin.alert.engine.dependencies import Root
from tocsin.alert.engine.people import SERVICE
from tocsin.alert.engine.transitions import KeyState
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from tocsin.alert.domain.observation import Failure

STALE = Key("host-a", "stale_schedule", "nightly")
OFFLINE = Root(uuid7(), Key("host-a", "agent_offline", ""), "", at(-10))
LOCKED = Root(uuid7(), Key("host-b", "backup_failed", "group-9"), "repo-1", at(-5))


def seen(key: Key, repository_id: str = "repo-1") -> Failure:
    return failure(0, key=key)._replace(subject=Subject(repository_id=repository_id))


def suppressed() -> KeyState:
    decision = transitions.raise_or_touch(
        KeyState(), seen(KEY), ORCHESTRATOR, ALPHA, uuid7, LOCKED.alert_id
    )
    return decision.state


def test_a_missed_run_is_explained_by_its_host_being_offline() -> None:
    assert OFFLINE.alert_id == dependencies.root_for(seen(STALE), OFFLINE, [LOCKED])


def test_a_job_that_failed_is_not_explained_by_its_host_being_offline() -> None:
    assert dependencies.root_for(seen(KEY), OFFLINE, []) is None


@pytest.mark.parametrize("kind", ["backup_failed", "check_failed", "stale_schedule"])
def test_a_failure_is_explained_by_its_repository_being_unreachable(kind: str) -> None:
    key = Key("host-a", kind, "x")

    assert LOCKED.alert_id == dependencies.root_for(seen(key), None, [LOCKED])


def test_a_failure_that_names_no_repository_is_not_explained_by_one() -> None:
    nameless = replace(LOCKED, repository_id="")

    assert dependencies.root_for(seen(KEY, ""), None, [LOCKED, nameless]) is None


def test_another_repository_explains_nothing() -> None:
    assert dependencies.root_for(seen(KEY, "repo-2"), None, [LOCKED]) is None


def test_nothing_explains_itself() -> None:
    assert dependencies.root_for(seen(LOCKED.key), None, [LOCKED]) is None


def test_of_several_explanations_the_earliest_raised_counts() -> None:
    later = replace(LOCKED, alert_id=uuid7(), key=STALE, raise_time=at(-4))
    earlier = replace(LOCKED, alert_id=uuid7(), raise_time=at(-6))

    for roots in ([later, earlier, LOCKED], [LOCKED, earlier, later]):
        assert earlier.alert_id == dependencies.root_for(seen(KEY), None, roots)


def test_what_makes_a_repository_unreachable() -> None:
    assert {"locked", "network", "no_repository"} == dependencies.UNREACHABLE_CAUSES


def test_an_explanation_is_recorded_when_the_alert_is_raised_and_a_touch_leaves_it() -> None:
    state = suppressed()

    touched = transitions.raise_or_touch(
        state, seen(KEY), ORCHESTRATOR, ALPHA, uuid7, OFFLINE.alert_id
    )

    assert state.standing is not None
    assert touched.alert is not None
    assert LOCKED.alert_id == state.standing.suppressed_by == touched.alert.suppressed_by
    assert Status.OPEN == state.standing.status


@pytest.mark.parametrize(
    ("kind", "cause", "ended", "until"),
    [
        ("backup_failed", "locked", None, None),
        ("agent_offline", "", None, None),
        ("backup_failed", "wrong_password", None, 0),
        ("backup_failed", "locked", 7, 17),
        ("agent_offline", "", 7, 17),
    ],
)
def test_until_when_an_alert_explains_others(
    kind: str, cause: str, ended: float | None, until: float | None
) -> None:
    key = Key("host-a", kind, "x")
    state = transitions.raise_or_touch(
        KeyState(), seen(key)._replace(cause=cause), ORCHESTRATOR, ALPHA, uuid7
    ).state
    if ended is not None:
        state = transitions.clear(state, success(ended, key=key), ORCHESTRATOR, "Alpha").state
    assert state.alert is not None

    explained = dependencies.explained_until(state.alert, timedelta(minutes=10))

    assert (None if until is None else at(until)) == explained


@pytest.mark.parametrize("acknowledge", [False, True], ids=["open", "acknowledged"])
def test_what_outlives_its_explanation_comes_out_with_an_event(acknowledge: bool) -> None:
    state = suppressed()
    assert state.standing is not None
    if acknowledge:
        act = people.Act(ANN, at(1), "", "Alpha")
        state = people.acknowledge(state, state.standing, act, at(999)).state
    before = state.standing
    assert before is not None

    decision = dependencies.unsuppress(state, before, at(30), "Beta")

    alert = before._replace(host_name="Beta", suppressed_by=None, version=before.version + 1)
    assert decision.outcome
    assert alert == decision.alert == decision.state.alert
    (change,) = decision.changes
    assert (EventType.UNSUPPRESSED, SERVICE, at(30), alert) == (
        change.type,
        change.caller,
        change.occur_time,
        change.alert,
    )


def test_what_is_over_or_stands_for_itself_does_not_come_out() -> None:
    state = suppressed()
    over = transitions.clear(state, success(5), ORCHESTRATOR, "Alpha").state
    assert state.standing is not None
    out = dependencies.unsuppress(state, state.standing, at(30), "Alpha").state

    for settled in (over, out):
        assert settled.alert is not None
        later = at(30) + timedelta(hours=1)
        decision = dependencies.unsuppress(settled, settled.alert, later, "Alpha")
        assert (False, settled, ()) == (decision.outcome, decision.state, decision.changes)
