"""What retiring does to an alert that only the retired thing could have cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Resolution, ResolveReason
from tocsin.alert.domain.event import EventType
from tocsin.alert.engine.transitions import Change, Decision, KeyState

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.observation import Caller


def retire(
    state: KeyState, now: datetime, caller: Caller, host_name: str, note: str
) -> Decision[bool]:
    """Resolve (RETIRED) what stands at `now`, the server's clock; the outcome tells whether.

    As with a resolve by hand the key counts as cleared at the last failure that was observed: put
    again, the thing may fail under a clock that is behind. An acknowledgement stays on the record.
    """
    standing = state.standing
    if standing is None:
        return Decision(state, outcome=False, alert=state.alert)
    retired = standing._replace(
        host_name=host_name,
        resolution=Resolution(now, caller.actor, ResolveReason.RETIRED),
        version=standing.version + 1,
    )
    change = Change(EventType.RESOLVED, retired, caller, now, note)
    cleared_time = state.cleared_at(standing.last_seen_time)
    return Decision(KeyState(cleared_time, retired), True, retired, (change,))
