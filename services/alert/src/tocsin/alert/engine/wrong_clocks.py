"""What is believed of a key that was written while the server's clock was wrong. Pure.

A server whose clock stood an hour or a year ahead has left times that nothing would reach for as
long: every success would look older than the last failure, and every failure older than the last
clear. What lies further ahead than a clock may be wrong is not believed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.engine.observe import EARLIEST, FURTHEST_AHEAD

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.engine.transitions import KeyState

_INSTANT = timedelta(microseconds=1)


def believed(state: KeyState, observe_time: datetime, now: datetime) -> KeyState:
    """Return the state of a key as far as it is believed, for something observed at a time.

    A clear in the future is forgotten, and what stands was last seen just before `observe_time`:
    the new observation counts, whichever it is. `now` is the server's time.
    """
    cleared_time, alert = state
    if (cleared_time is None or cleared_time <= now) and (
        alert is None or alert.last_seen_time <= now
    ):
        return state  # as nearly all are
    latest = now + FURTHEST_AHEAD
    if cleared_time is not None and cleared_time > latest:
        state = state._replace(cleared_time=None)
    alert = state.standing
    if alert is not None and alert.last_seen_time > latest:
        before = max(observe_time - _INSTANT, EARLIEST)
        state = state._replace(alert=alert._replace(last_seen_time=before))
    return state
