"""How the danger grows while the last good backup of a source group ages past its objective."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.event import EventType
from tocsin.alert.engine.people import SERVICE
from tocsin.alert.engine.transitions import Change, Decision, KeyState

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.job import StreamState
    from tocsin.alert.domain.source_group import SourceGroup

MULTIPLES = (1, 2, 4)
# An agent that catches up sends its successes within this time of its failures.
SETTLED_AFTER = timedelta(seconds=60)

_PASSED = {1: "its objective", 2: "twice its objective", 4: "four times its objective"}


def last_good(state: StreamState, group: SourceGroup) -> datetime:
    """Return when the last good backup of a source group finished, else when it was put.

    `state` is that of its backups.
    """
    return group.create_time if state.last_success is None else state.last_success.finish_time


def multiple_of(age: timedelta, objective: timedelta | None) -> int:
    """Return how many times its objective a backup of this age has passed: 0, 1, 2 or 4.

    At the very time it counts as passed. Always 0 without an objective.
    """
    if objective is None:
        return 0
    return max((count for count in MULTIPLES if age >= count * objective), default=0)


def next_look(
    last_good: datetime, objective: timedelta | None, now: datetime, reported: bool
) -> datetime | None:
    """Return when it is to be looked again whether the alerts of a source group rise.

    `reported`: a report came or an alert was raised just now, so what stands may lag behind even
    the multiple that is passed already, and more reports may be on their way. Else all that
    stands has risen as far as it had to by `now`. None when nothing can rise any more.
    """
    if objective is None:
        return None
    passed = multiple_of(now - last_good, objective)
    if reported and passed > 0:
        return now + SETTLED_AFTER
    following = next((count for count in MULTIPLES if count > passed), None)
    if following is None:
        return None
    time = last_good + following * objective
    return max(time, now + SETTLED_AFTER) if reported else time


def rise(state: KeyState, multiple: int, occur_time: datetime, host_name: str) -> Decision[bool]:
    """Let what stands rise to a multiple (1, 2 or 4) of the objective; the outcome tells whether.

    It is CRITICAL then, and every higher multiple is told anew. An acknowledgement is broken
    first: it was given for something milder. `occur_time` is when the multiple was passed; an
    alert that was raised after that rises at its raise.
    """
    standing = state.standing
    if standing is None or multiple <= standing.objective_multiple:
        return Decision(state, outcome=False, alert=state.alert)
    note = f"The last good backup is older than {_PASSED[multiple]}."
    steps: list[tuple[EventType, Alert]] = []
    alert = standing._replace(host_name=host_name)
    if alert.acknowledgement is not None:
        alert = alert._replace(acknowledgement=None, version=alert.version + 1)
        steps.append((EventType.UNACKNOWLEDGED, alert))
    alert = alert._replace(
        severity=Severity.CRITICAL, objective_multiple=multiple, version=alert.version + 1
    )
    steps.append((EventType.SEVERITY_CHANGED, alert))
    time = max(occur_time, standing.raise_time)
    changes = tuple(Change(kind, after, SERVICE, time, note) for kind, after in steps)
    return Decision(state._replace(alert=alert), True, alert, changes)
