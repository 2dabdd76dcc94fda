"""From what a caller gives to a route as it is kept. Everything that is wrong is noted."""

from __future__ import annotations

import math
import re
from datetime import time, timedelta
from typing import TYPE_CHECKING, Final

from tocsin.common.rpc.validate import read_uuid, shown
from tocsin.notify.domain.notification import Severity
from tocsin.notify.domain.route import QuietHours, Reminders, Route
from tocsin.notify.rpc.field_rules import check_display_name
from tocsin.notify.rpc.lengths import read_length
from tocsin.notify.rpc.matcher_rules import (
    SEVERITIES,
    check_choice,
    read_group_by,
    read_matchers,
)
from tocsin.notify.rpc.recurrence_rules import check_zone, read_recurrence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from tocsin.api.notify.v1 import route_pb2
    from tocsin.common.errors import Violations
    from tocsin.notify.domain.matcher import GroupField

MOST_CHANNELS: Final = 50
MOST_GROUP_SIZE: Final = 1_000
LONGEST_GROUP_WAIT: Final = timedelta(hours=1)
SHORTEST_REMINDER: Final = timedelta(minutes=1)
LONGEST_REMINDER: Final = timedelta(days=30)
MOST_REMINDERS: Final = 1_000
LARGEST_FACTOR: Final = 10
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DEFAULT_GROUP_SIZE = 100
_DEFAULT_FACTOR = 2.0
_DEFAULT_LONGEST_PAUSE = timedelta(days=1)
_DEFAULT_REMINDERS = 20
_NOTHING = timedelta(0)
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def read_route(
    found: Violations, path: str, given: route_pb2.Route, route_id: UUID, now: datetime
) -> Route:
    """Return the route that a caller wants, of no use once anything is noted.

    Whether its channels exist is seen when it is kept. Its output-only fields are left.
    """
    check_display_name(found, f"{path}.display_name", given.display_name)
    if given.min_severity:
        check_choice(found, f"{path}.min_severity", given.min_severity, SEVERITIES)
    is_least = given.min_severity in SEVERITIES
    return Route(
        route_id=route_id,
        position=0,
        display_name=given.display_name,
        enabled=given.enabled if given.HasField("enabled") else True,
        matchers=read_matchers(found, f"{path}.matchers", given.matchers),
        channel_ids=_channel_ids(found, f"{path}.channel_ids", given.channel_ids),
        continue_matching=given.continue_matching,
        min_severity=Severity[given.min_severity.upper()] if is_least else None,
        group_wait=read_length(
            found, f"{path}.group_wait", given.group_wait, _NOTHING, LONGEST_GROUP_WAIT
        ),
        group_by=_group_by(found, path, given),
        max_group_size=_count(
            found, f"{path}.max_group_size", given.max_group_size, MOST_GROUP_SIZE
        )
        or _DEFAULT_GROUP_SIZE,
        reminders=_reminders(found, f"{path}.reminders", given.reminders)
        if given.HasField("reminders")
        else None,
        quiet_hours=_quiet_hours(found, f"{path}.quiet_hours", given.quiet_hours)
        if given.HasField("quiet_hours")
        else None,
        proof=read_recurrence(found, f"{path}.proof", given.proof, now)
        if given.HasField("proof")
        else None,
    )


def _channel_ids(found: Violations, path: str, given: Sequence[str]) -> tuple[UUID, ...]:
    if not 1 <= len(given) <= MOST_CHANNELS:
        found.add(path, f"has {len(given):,} channels; write 1 to {MOST_CHANNELS}")
        return ()
    read = []
    for index, text in enumerate(given):
        channel_id = read_uuid(found, f"{path}[{index}]", text)
        if channel_id in read:
            found.add(f"{path}[{index}]", f"{channel_id} stands there twice; write it once")
        elif channel_id is not None:
            read.append(channel_id)
    return tuple(read)


def _group_by(found: Violations, path: str, given: route_pb2.Route) -> tuple[GroupField, ...]:
    if given.group_by and not (given.group_wait.seconds or given.group_wait.nanos):
        found.add(
            f"{path}.group_wait",
            "must be set with group_by: without it no alert waits for others of its group",
        )
    return read_group_by(found, f"{path}.group_by", given.group_by)


def _count(found: Violations, path: str, given: int, most: int) -> int:
    if not 0 <= given <= most:
        found.add(path, f"is {given:,}; write 1 to {most:,}, or 0 for the default")
    return given


def _reminders(found: Violations, path: str, given: route_pb2.Reminders) -> Reminders:
    first_after = read_length(
        found, f"{path}.first_after", given.first_after, SHORTEST_REMINDER, LONGEST_REMINDER
    )
    longest = max(first_after, _DEFAULT_LONGEST_PAUSE)
    if given.HasField("longest_pause"):
        longest = read_length(
            found, f"{path}.longest_pause", given.longest_pause, first_after, LONGEST_REMINDER
        )
    factor = given.factor or _DEFAULT_FACTOR
    if math.isnan(factor) or not 1 <= factor <= LARGEST_FACTOR:
        found.add(f"{path}.factor", f"is {factor:g}; write 1 to {LARGEST_FACTOR}, or 0 for 2")
    count = _count(found, f"{path}.max_count", given.max_count, MOST_REMINDERS)
    return Reminders(first_after, factor, longest, count or _DEFAULT_REMINDERS)


def _quiet_hours(found: Violations, path: str, given: route_pb2.QuietHours) -> QuietHours:
    check_zone(found, f"{path}.time_zone", given.time_zone)
    start = _time_of_day(found, f"{path}.start", given.start)
    end = _time_of_day(found, f"{path}.end", given.end)
    for index, day in enumerate(given.days):
        check_choice(found, f"{path}.days[{index}]", day, DAYS)
    days = tuple(number for number, day in enumerate(DAYS) if day in given.days)
    if given.start and given.start == given.end and len(days) in {0, len(DAYS)}:
        found.add(f"{path}.end", "is the same as start, on every day: it would never be loud")
    return QuietHours(given.time_zone, start, end, days)


def _time_of_day(found: Violations, path: str, text: str) -> time:
    if _TIME_OF_DAY.fullmatch(text):
        return time.fromisoformat(text)
    found.add(path, f"{shown(text)!r} is no time of day; write it such as 22:00, 00:00 to 23:59")
    return time()
