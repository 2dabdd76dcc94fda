"""What an observation does to its key: raise, touch, clear, or nothing because it came late.

A key is fed from one clock, and observations may come in any order. Two rules hold them apart:
a failure counts unless it is older than the last clear, and a success counts only when it is
newer than the last failure. On a tie, failure wins both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from tocsin.alert.domain.alert import NO_LABELS, Alert, Resolution, ResolveReason
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.observation import Caller, Failure, Success

Outcome_co = TypeVar("Outcome_co", covariant=True)


class KeyState(NamedTuple):
    """What is remembered of a key.

    `cleared_time` is the time in the world of its last clear and never falls: a failure observed
    before it is stale. `alert` is the latest alert of the key, resolved or not.
    """

    cleared_time: datetime | None = None
    alert: Alert | None = None

    @property
    def standing(self) -> Alert | None:
        """The alert that is not resolved, if there is one."""
        if self.alert is None or self.alert.resolution is not None:
            return None
        return self.alert

    def cleared_at(self, time: datetime) -> datetime:
        """Return what `cleared_time` becomes by a clear at `time`."""
        return time if self.cleared_time is None else max(self.cleared_time, time)


class HostFacts(NamedTuple):
    """What alerts bear of their host: the name people know it by, and its labels."""

    name: str
    labels: Mapping[str, str] = NO_LABELS


class Change(NamedTuple):
    """One change of an alert, to be recorded as an event. `alert` is as it was after the change."""

    type: EventType
    alert: Alert
    caller: Caller
    occur_time: datetime
    note: str = ""


class Decision(NamedTuple, Generic[Outcome_co]):
    """What a command does: the key's state after it, the answer, and what is to be recorded.

    `alert` is the one to answer with.
    """

    state: KeyState
    outcome: Outcome_co
    alert: Alert | None
    changes: tuple[Change, ...] = ()


def raise_or_touch(  # noqa: PLR0917
    state: KeyState,
    failure: Failure,
    caller: Caller,
    host: HostFacts,
    new_id: Callable[[], UUID],
    root: UUID | None = None,
) -> Decision[RaiseOutcome]:
    """Decide on a failure.

    Observed before the last clear, it is STALE, also while a newer alert stands: it belongs to
    what was healed. At the very time of the clear it counts. `root` is the alert that explains
    this one, should it be raised: a touch leaves that as it is, and the subject too.
    """
    if state.cleared_time is not None and failure.observe_time < state.cleared_time:
        return Decision(state, RaiseOutcome.STALE, state.alert)
    standing = state.standing
    if standing is not None:
        return _touched(state, standing, failure, caller, host.name)
    alert = _raised(state.alert, failure, host, new_id(), root)
    return Decision(
        KeyState(state.cleared_time, alert),
        RaiseOutcome.RAISED,
        alert,
        (Change(EventType.RAISED, alert, caller, failure.observe_time),),
    )


def clear(
    state: KeyState, success: Success, caller: Caller, host_name: str
) -> Decision[ClearOutcome]:
    """Decide on a success.

    It resolves what stands only when it was observed after the last failure. When nothing stands
    its time is remembered all the same, so that a late failure stays down.
    """
    standing = state.standing
    if standing is None:
        remembered = KeyState(state.cleared_at(success.observe_time), state.alert)
        return Decision(remembered, ClearOutcome.NOTHING_OPEN, None)
    if success.observe_time <= standing.last_seen_time:
        return Decision(state, ClearOutcome.STALE, standing)
    resolution = Resolution(success.observe_time, caller.actor, ResolveReason.AUTO)
    alert = standing._replace(
        host_name=host_name, resolution=resolution, version=standing.version + 1
    )
    return Decision(
        KeyState(state.cleared_at(success.observe_time), alert),
        ClearOutcome.RESOLVED,
        alert,
        (Change(EventType.RESOLVED, alert, caller, success.observe_time, success.message),),
    )


def _raised(
    previous: Alert | None, failure: Failure, host: HostFacts, alert_id: UUID, root: UUID | None
) -> Alert:
    key, time, severity, message, cause, labels, subject = failure
    occurrences = version = 1
    return Alert(  # by place: by name it takes twice as long
        alert_id,
        key,
        host.name,
        severity,
        message,
        cause,
        occurrences,
        time,
        time,
        version,
        labels,
        None,
        None,
        None if previous is None else previous.alert_id,
        host.labels,
        subject,
        root,
    )


def _touched(
    state: KeyState, standing: Alert, failure: Failure, caller: Caller, host_name: str
) -> Decision[RaiseOutcome]:
    """Count one more observation of what stands.

    An observation that is not older than all before it gives message and cause, where it has
    any: of two at one time the one that came later. The worst severity stays, whenever it was
    observed.
    """
    message, cause, time = failure.message, failure.cause, failure.observe_time
    if time < standing.last_seen_time:
        message, cause, time = "", "", standing.last_seen_time
    seen = standing.seen_again(host_name, message or standing.message, time)
    if failure.severity <= seen.severity and (not cause or cause == seen.cause):
        return Decision(KeyState(state.cleared_time, seen), RaiseOutcome.TOUCHED, seen)
    severity = max(seen.severity, failure.severity)
    wanted = seen._replace(severity=severity, cause=cause or seen.cause)
    changes = _worsened(seen, wanted, failure, caller)
    alert = changes[-1].alert
    return Decision(KeyState(state.cleared_time, alert), RaiseOutcome.TOUCHED, alert, changes)


def _worsened(seen: Alert, wanted: Alert, failure: Failure, caller: Caller) -> tuple[Change, ...]:
    """Tell a higher severity and another cause in steps, one event and one version each.

    The first step carries the observation itself too, so a touch with one change is one version.
    An acknowledgement is broken first: it was given for something milder.
    """
    steps: list[tuple[EventType, Alert, str]] = []
    alert = seen
    if alert.acknowledgement is not None:
        alert = alert._replace(acknowledgement=None)
        steps.append((EventType.UNACKNOWLEDGED, alert, _why_broken(seen, wanted)))
    if wanted.severity != seen.severity:
        alert = alert._replace(severity=wanted.severity)
        steps.append((EventType.SEVERITY_CHANGED, alert, ""))
    if wanted.cause != seen.cause:
        alert = alert._replace(cause=wanted.cause)
        steps.append((EventType.CAUSE_CHANGED, alert, ""))
    return tuple(
        Change(
            kind, after._replace(version=seen.version + place), caller, failure.observe_time, note
        )
        for place, (kind, after, note) in enumerate(steps)
    )


def _why_broken(seen: Alert, wanted: Alert) -> str:
    reasons = []
    if wanted.severity != seen.severity:
        reasons.append(f"the severity rose from {seen.severity.name} to {wanted.severity.name}")
    if wanted.cause != seen.cause:
        reasons.append(f"the cause is now {wanted.cause}, formerly {seen.cause or 'not known'}")
    text = " and ".join(reasons)
    return f"{text[0].upper()}{text[1:]}."
