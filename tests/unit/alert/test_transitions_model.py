"""The transitions against a model that keeps every observation and counts anew each time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from support.clock import START
from support.observed import ALPHA, ANN, ORCHESTRATOR, failure, success
from tocsin.alert.domain.alert import Alert, Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.engine import people, transitions
from tocsin.alert.engine.transitions import Decision, KeyState
from tocsin.common.errors import FailedPreconditionError
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.observation import Failure

# Few values, so that ties and repeats are common.
minutes = st.integers(0, 8)
severities = st.sampled_from(Severity)
texts = st.sampled_from(["", "a", "b"])


@dataclass
class Episode:
    """One alert of the model: all failures that it stands for, in the order of arrival."""

    failures: list[Failure]
    acknowledged_until: datetime | None = None
    resolved: bool = False

    @property
    def last_seen(self) -> datetime:
        return max(seen.observe_time for seen in self.failures)

    @property
    def severity(self) -> Severity:
        return max(seen.severity for seen in self.failures)

    def last_word(self, text: str) -> str:
        """Return the last text that came with a failure not older than all before it."""
        words = [
            getattr(seen, text)
            for place, seen in enumerate(self.failures)
            if all(seen.observe_time >= before.observe_time for before in self.failures[:place])
        ]
        return next((word for word in reversed(words) if word), "")

    @property
    def status(self) -> Status:
        if self.resolved:
            return Status.RESOLVED
        return Status.OPEN if self.acknowledged_until is None else Status.ACKNOWLEDGED


@dataclass
class Model:
    """A key of the model: its episodes, and every time that it counts as cleared at."""

    episodes: list[Episode] = field(default_factory=list)
    clears: list[datetime] = field(default_factory=list)

    @property
    def standing(self) -> Episode | None:
        if not self.episodes or self.episodes[-1].resolved:
            return None
        return self.episodes[-1]


class Transitions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state = KeyState()
        self.model = Model()
        self.now = START
        self.versions: dict[str, int] = {}

    def take(self, decision: Decision[object]) -> list[EventType]:
        """Adopt a decision, after a look at its events, and return their types."""
        for change in decision.changes:
            alert_id = str(change.alert.alert_id)
            assert self.versions.get(alert_id, 0) < change.alert.version
            assert (change.type is EventType.RAISED) == (change.alert.version == 1)
            self.versions[alert_id] = change.alert.version
        if decision.changes:
            assert decision.changes[-1].alert == decision.state.alert
        self.state = decision.state
        return [change.type for change in decision.changes]

    @rule(minutes=minutes, severity=severities, message=texts, cause=texts)
    def fail(self, minutes: int, severity: Severity, message: str, cause: str) -> None:
        seen = failure(minutes, severity=severity, message=message, cause=cause)
        standing = self.model.standing
        decision = transitions.raise_or_touch(self.state, seen, ORCHESTRATOR, ALPHA, uuid7)
        types = self.take(decision)

        if any(seen.observe_time < cleared for cleared in self.model.clears):
            assert RaiseOutcome.STALE == decision.outcome
            assert [] == types
        elif standing is None:
            self.model.episodes.append(Episode([seen]))
            assert RaiseOutcome.RAISED == decision.outcome
            assert [EventType.RAISED] == types
        else:
            assert RaiseOutcome.TOUCHED == decision.outcome
            assert self.expected_by_touch(standing, seen) == types

    def expected_by_touch(self, standing: Episode, seen: Failure) -> list[EventType]:
        severity, cause = standing.severity, standing.last_word("cause")
        standing.failures.append(seen)
        worse = []
        if standing.severity != severity:
            worse.append(EventType.SEVERITY_CHANGED)
        if standing.last_word("cause") != cause:
            worse.append(EventType.CAUSE_CHANGED)
        if worse and standing.acknowledged_until is not None:
            standing.acknowledged_until = None
            worse.insert(0, EventType.UNACKNOWLEDGED)
        return worse

    @rule(minutes=minutes)
    def succeed(self, minutes: int) -> None:
        seen = success(minutes)
        standing = self.model.standing
        decision = transitions.clear(self.state, seen, ORCHESTRATOR, "Alpha")
        types = self.take(decision)

        if standing is None:
            self.model.clears.append(seen.observe_time)
            assert ClearOutcome.NOTHING_OPEN == decision.outcome
            assert [] == types
        elif any(seen.observe_time <= failed.observe_time for failed in standing.failures):
            assert ClearOutcome.STALE == decision.outcome
            assert [] == types
        else:
            self.model.clears.append(seen.observe_time)
            standing.resolved = True
            assert ClearOutcome.RESOLVED == decision.outcome
            assert [EventType.RESOLVED] == types

    @rule(passes=st.integers(0, 3), hours=st.integers(1, 3))
    def acknowledge(self, passes: int, hours: int) -> None:
        alert = self.pass_time(passes)
        if alert is None:
            return
        episode = self.model.episodes[-1]
        until = self.later(hours)
        act = people.Act(ANN, self.now, "", "Alpha")
        if episode.resolved:
            try:
                people.acknowledge(self.state, alert, act, until)
            except FailedPreconditionError:
                return
            raise AssertionError("a resolved alert was acknowledged")
        types = self.take(people.acknowledge(self.state, alert, act, until))
        expected = []
        if self.has_lapsed(episode):
            expected.append(EventType.UNACKNOWLEDGED)
            episode.acknowledged_until = None
        if episode.acknowledged_until is None:
            expected.append(EventType.ACKNOWLEDGED)
            episode.acknowledged_until = until
        assert expected == types

    @rule(passes=st.integers(0, 3))
    def lapse(self, passes: int) -> None:
        alert = self.pass_time(passes)
        if alert is None:
            return
        episode = self.model.episodes[-1]
        types = self.take(people.lapse(self.state, alert, self.now, "Alpha"))
        if self.has_lapsed(episode):
            episode.acknowledged_until = None
            assert [EventType.UNACKNOWLEDGED] == types
        else:
            assert [] == types

    @rule(passes=st.integers(0, 3))
    def resolve(self, passes: int) -> None:
        alert = self.pass_time(passes)
        if alert is None:
            return
        episode = self.model.episodes[-1]
        act = people.Act(ANN, self.now, "", "Alpha")
        decision = people.resolve(self.state, alert, act)
        types = self.take(decision)
        assert (not episode.resolved) == decision.outcome
        assert ([] if episode.resolved else [EventType.RESOLVED]) == types
        if not episode.resolved:
            episode.resolved = True
            self.model.clears.append(episode.last_seen)

    def pass_time(self, hours: int) -> Alert | None:
        self.now = self.later(hours)
        return self.state.alert

    def later(self, hours: int) -> datetime:
        return self.now + timedelta(hours=hours)

    def has_lapsed(self, episode: Episode) -> bool:
        until = episode.acknowledged_until
        return not episode.resolved and until is not None and until <= self.now

    @invariant()
    def the_alert_is_what_its_observations_make_it(self) -> None:
        alert = self.state.alert
        if not self.model.episodes:
            assert alert is None
            return
        assert alert is not None
        episode = self.model.episodes[-1]
        assert episode.status == alert.status
        assert len(episode.failures) == alert.occurrences
        assert episode.severity == alert.severity
        assert episode.failures[0].observe_time == alert.raise_time
        assert episode.last_seen == alert.last_seen_time
        assert episode.last_word("message") == alert.message
        assert episode.last_word("cause") == alert.cause
        assert (alert.previous_alert_id is None) == (len(self.model.episodes) == 1)

    @invariant()
    def the_key_remembers_its_latest_clear(self) -> None:
        assert max(self.model.clears, default=None) == self.state.cleared_time


TestTransitions = Transitions.TestCase
TestTransitions.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
