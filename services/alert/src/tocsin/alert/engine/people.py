"""What people do to alerts: acknowledge and resolve, and what happens when they do not return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Acknowledgement, Resolution, ResolveReason, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.observation import Caller
from tocsin.alert.engine.transitions import Change, Decision, KeyState
from tocsin.common.errors import FailedPreconditionError

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.alert import Alert

# Who acts when a deadline passes.
SERVICE = Caller(actor="tocsin-alert")


@dataclass(frozen=True, slots=True)
class Act:
    """A person's act at a moment of the server's clock. The alert is the latest of its key."""

    caller: Caller
    now: datetime
    note: str
    host_name: str


def acknowledge(state: KeyState, alert: Alert, act: Act, expire_time: datetime) -> Decision[bool]:
    """Let a person take an alert on until `expire_time`; the outcome tells whether they now did.

    An acknowledgement that stands keeps its actor and its time. One past its time no longer
    stands, also when no sweep has seen it yet: it lapses here, first.

    Raises FailedPreconditionError (ALERT_RESOLVED).
    """
    if alert.status is Status.RESOLVED:
        raise FailedPreconditionError(
            f"Alert {alert.alert_id} is resolved; only an alert that stands can be acknowledged.",
            reason="ALERT_RESOLVED",
        )
    lapsed = lapse(state, alert, act.now, act.host_name)
    if alert.status is Status.ACKNOWLEDGED and not lapsed.outcome:
        return Decision(state, outcome=False, alert=alert)
    base = alert if lapsed.alert is None else lapsed.alert
    taken = base._replace(
        host_name=act.host_name,
        acknowledgement=Acknowledgement(act.now, act.caller.actor, act.note, expire_time),
        version=base.version + 1,
    )
    change = Change(EventType.ACKNOWLEDGED, taken, act.caller, act.now, act.note)
    return Decision(state._replace(alert=taken), True, taken, (*lapsed.changes, change))


def resolve(state: KeyState, alert: Alert, act: Act) -> Decision[bool]:
    """Let a person resolve an alert; the outcome tells whether they now did.

    The key counts as cleared at the last failure that was observed, not at the time on the wall:
    a newer failure from a host whose clock is behind still rings. An acknowledgement stays on the
    record.
    """
    if alert.status is Status.RESOLVED:
        return Decision(state, outcome=False, alert=alert)
    resolved = alert._replace(
        host_name=act.host_name,
        resolution=Resolution(act.now, act.caller.actor, ResolveReason.MANUAL),
        version=alert.version + 1,
    )
    change = Change(EventType.RESOLVED, resolved, act.caller, act.now, act.note)
    cleared_time = state.cleared_at(alert.last_seen_time)
    return Decision(KeyState(cleared_time, resolved), True, resolved, (change,))


def lapse(state: KeyState, alert: Alert, now: datetime, host_name: str) -> Decision[bool]:
    """End an acknowledgement whose time has passed; the outcome tells whether it did.

    Nothing happens when the alert was resolved, or was acknowledged anew for longer, meanwhile.
    """
    acknowledgement = alert.acknowledgement
    if alert.status is not Status.ACKNOWLEDGED or acknowledgement is None:
        return Decision(state, outcome=False, alert=alert)
    if now < acknowledgement.expire_time:
        return Decision(state, outcome=False, alert=alert)
    reopened = alert._replace(host_name=host_name, acknowledgement=None, version=alert.version + 1)
    note = f"The acknowledgement by {acknowledgement.actor} expired."
    change = Change(EventType.UNACKNOWLEDGED, reopened, SERVICE, acknowledgement.expire_time, note)
    return Decision(state._replace(alert=reopened), True, reopened, (change,))
