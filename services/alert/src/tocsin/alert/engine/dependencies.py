"""Which alert explains another: recorded when that one is raised, and undone when it outlives it.

What is wrong stays wrong either way. An alert that is explained is itself never an explanation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.domain.event import EventType
from tocsin.alert.engine.heartbeats import AGENT_OFFLINE
from tocsin.alert.engine.people import SERVICE
from tocsin.alert.engine.stale_schedules import STALE_SCHEDULE
from tocsin.alert.engine.transitions import Change, Decision, KeyState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.key import Key
    from tocsin.alert.domain.observation import Failure

# With one of these causes nothing else can work in the repository either.
UNREACHABLE_CAUSES = frozenset({"locked", "network", "no_repository"})


@dataclass(frozen=True, slots=True)
class Root:
    """An alert that stands for itself and may explain others. `repository_id` may be empty."""

    alert_id: UUID
    key: Key
    repository_id: str
    raise_time: datetime


def root_for(
    failure: Failure, offline: Root | None, repository_roots: Iterable[Root]
) -> UUID | None:
    """Return the alert that explains a failure, should it be raised; None when none does.

    `offline` is the agent_offline of its host, while it stands: no run can be told by a host that
    is away. `repository_roots` are alerts that stand, are explained by none and have one of the
    UNREACHABLE_CAUSES: any failure of the same repository is explained by the earliest raised.
    """
    if failure.key.kind == STALE_SCHEDULE and offline is not None:
        return offline.alert_id
    repository_id = failure.subject.repository_id
    if not repository_id:
        return None
    roots = (
        root
        for root in repository_roots
        if root.repository_id == repository_id and root.key != failure.key
    )
    earliest = min(roots, key=lambda root: (root.raise_time, root.alert_id), default=None)
    return None if earliest is None else earliest.alert_id


def is_out_of_reach(alert: Alert) -> bool:
    """Tell whether an alert stands and says that its repository cannot be worked in."""
    return alert.resolution is None and alert.cause in UNREACHABLE_CAUSES


def explained_until(root: Alert, grace: timedelta) -> datetime | None:
    """Return until when an alert explains others, None while it still does.

    When it is over, until a `grace` later: what it explained may heal by itself then. When it
    stands with a cause that says nothing of others any more, until it was last seen.
    """
    if root.resolution is not None:
        return root.resolution.time + grace
    if root.key.kind == AGENT_OFFLINE or is_out_of_reach(root):
        return None
    return root.last_seen_time


def unsuppress(
    state: KeyState, alert: Alert, occur_time: datetime, host_name: str
) -> Decision[bool]:
    """Let an alert stand for itself from `occur_time` on; the outcome tells whether it now does.

    One that was raised after that time does so from its raise on. Nothing happens when it was
    resolved, or stood for itself already.
    """
    if alert.resolution is not None or alert.suppressed_by is None:
        return Decision(state, outcome=False, alert=alert)
    bare = alert._replace(host_name=host_name, suppressed_by=None, version=alert.version + 1)
    note = "What explained this alert is over, and it still stands."
    time = max(occur_time, alert.raise_time)
    change = Change(EventType.UNSUPPRESSED, bare, SERVICE, time, note)
    return Decision(state._replace(alert=bare), True, bare, (change,))
