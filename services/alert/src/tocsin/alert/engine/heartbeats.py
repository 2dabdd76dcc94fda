"""When a host that is not heard of counts as offline, and what is said of it.

All by the server's clock: at which time a host thinks it spoke does not matter, only when it was
heard.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.host import Profile, Signs
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure, Success
from tocsin.alert.engine.observe import FURTHEST_AHEAD
from tocsin.alert.engine.spans import spell_span, spell_time

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.host import Host

AGENT_OFFLINE = "agent_offline"
# No host is called offline for a shorter silence.
FLOOR = timedelta(minutes=15)


def offline_key(host_id: str) -> Key:
    """Return the key of a host's silence."""
    return Key(host_id, AGENT_OFFLINE, "")


def offline_at(host: Host, shortest_objective: timedelta | None) -> datetime | None:
    """Return when a host counts as offline unless it is heard before; None when never.

    `shortest_objective` is that of its source groups that are watched: a LAPTOP may be silent for
    so long. Silence counts from the last sign of life, but not from before the host was put or
    what is put of it was changed.
    """
    allowed = _allowed_silence(host, shortest_objective)
    if host.retire_time is not None or allowed is None:
        return None
    put = max(host.create_time, host.update_time)
    return max(host.signs.last_heard_time or put, put) + max(allowed, FLOOR)


def _allowed_silence(host: Host, shortest_objective: timedelta | None) -> timedelta | None:
    match host.spec.profile:
        case Profile.EPHEMERAL:
            return None
        case Profile.LAPTOP:
            return shortest_objective
        case Profile.SERVER if host.spec.offline_after is not None:
            return host.spec.offline_after
        case Profile.SERVER:
            # Some only report jobs: without a word on it, a first heartbeat tells that more are
            # to be expected.
            return None if host.signs.first_heartbeat_time is None else FLOOR


def heard(signs: Signs, received: datetime, skew: timedelta | None, *, heartbeat: bool) -> Signs:
    """Return a host's signs of life after one more, received at a time of the server's clock.

    `skew` is None when it did not tell its own time: what is known of its clock stays then. A sign
    that lies in the future was heard while the server's clock was wrong, and does not count.
    """
    last = signs.last_heard_time
    is_latest = last is None or received >= last or last - received > FURTHEST_AHEAD
    first_heartbeat = signs.first_heartbeat_time
    if heartbeat and first_heartbeat is None:
        first_heartbeat = received
    return replace(
        signs,
        last_heard_time=received if is_latest else last,
        first_heartbeat_time=first_heartbeat,
        skew=skew if is_latest and skew is not None else signs.skew,
    )


def offline_failure(host: Host, deadline: datetime) -> Failure:
    """Return the observation that a host is offline, made at its deadline."""
    last = host.signs.last_heard_time
    if last is None:
        message = f"The host was never heard of since it was put, {spell_time(host.create_time)}."
    else:
        message = f"The host was last heard of {spell_time(last)}."
    return Failure(offline_key(host.host_id), deadline, Severity.WARNING, message)


def heard_again(host: Host, before: Signs, now: datetime) -> Success:
    """Return the observation that a host is back, heard at `now`.

    `before` are its signs of life before this one: they tell how long it was silent.
    """
    last = before.last_heard_time
    if last is None:
        message = f"The host was heard for the first time, {spell_time(now)}."
    else:
        message = f"The host is heard again after {spell_span(now - last)} of silence."
    return Success(offline_key(host.host_id), now, message)
