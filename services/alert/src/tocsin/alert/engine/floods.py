"""Hosts with so many open alerts that further failures are counted by one alert, alert_flood.

It tells of the limit and of what it stands for last. What is open is touched, acknowledged and
resolved as ever; only what would be raised is counted instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure
from tocsin.alert.engine.heartbeats import AGENT_OFFLINE

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.engine.transitions import KeyState

ALERT_FLOOD = "alert_flood"

# One each of a host or of a channel, told by Tocsin itself about what the others depend on. That
# a failure is CRITICAL lets it not pass: whoever floods may call everything so. The severity of
# the flood rises instead, which is an event.
PASSING = frozenset({ALERT_FLOOD, AGENT_OFFLINE, "channel_failing", "canary"})


def flood_key(host_id: str) -> Key:
    """Return the key of the alert that stands for what a host has failing beyond its limit."""
    return Key(host_id, ALERT_FLOOD, "")


def end_of_flood(limit: int) -> int:
    """Return the number of open alerts below which a flood is over: nine tenths of the limit."""
    return limit - limit // 10


def is_beyond(failure: Failure, state: KeyState, flood: KeyState, room: int) -> bool:
    """Tell whether a failure is to be counted by the alert_flood of its host.

    So it is when it would raise an alert (its key has nothing open, and it is not late), and an
    alert_flood stands or the host has no room left. `state` is that of the failure's key, `flood`
    that of the key of the flood, and `room` how many alerts the host may still raise.
    """
    if failure.key.kind in PASSING or state.standing is not None:
        return False
    if state.cleared_time is not None and failure.observe_time < state.cleared_time:
        return False
    return room <= 0 or flood.standing is not None


def counted(failure: Failure, flood: KeyState, limit: int, now: datetime) -> Failure:
    """Return what is observed of the flood of a host by a failure beyond its limit.

    It is observed at `now`, by the server's clock: the failures come from clocks of all sorts. It
    is a WARNING at least.
    """
    key = failure.key
    latest = f"{key.kind} {key.dedup_key}".rstrip()
    message = (
        f"This host has about {limit:,} open alerts, the most that one host may have. What else "
        f"fails is counted here until fewer than {end_of_flood(limit):,} are open. "
        f"The latest: {latest}."
    )
    time = now if flood.cleared_time is None else max(now, flood.cleared_time)
    severity = max(Severity.WARNING, failure.severity)
    return Failure(flood_key(key.host_id), time, severity, message)
