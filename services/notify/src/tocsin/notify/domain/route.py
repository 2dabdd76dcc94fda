"""The route: which events are told to which channels, and how patiently."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, time
    from uuid import UUID

    from tocsin.notify.domain.matcher import GroupField, Matcher
    from tocsin.notify.domain.notification import Severity
    from tocsin.notify.domain.recurrence import Recurrence


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` by the wall clock of `time_zone`; past midnight when end ≤ start.

    `days` are those on which it begins, 0 for Monday; none means every day.
    """

    time_zone: str
    start: time
    end: time
    days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reminders:
    """When what is still wrong is told again: each pause is `factor` times as long."""

    first_after: timedelta
    factor: float
    longest_pause: timedelta
    max_count: int


@dataclass(frozen=True, slots=True)
class Route:
    """One rule. Its meaning is that of the contract (route.proto).

    `display_name` to `proof` are what a caller gives. `group_wait` of 0 means not at all.
    """

    route_id: UUID
    position: int
    display_name: str
    enabled: bool
    matchers: tuple[Matcher, ...]
    channel_ids: tuple[UUID, ...]
    continue_matching: bool = False
    min_severity: Severity | None = None
    group_wait: timedelta = timedelta()
    group_by: tuple[GroupField, ...] = ()
    max_group_size: int = 100
    reminders: Reminders | None = None
    quiet_hours: QuietHours | None = None
    proof: Recurrence | None = None
    version: int = 1
    create_time: datetime | None = None
    update_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """One channel that an event is addressed to, and why: ROUTED, DEFAULT_ROUTE or FOLLOWS.

    `group_key` names the group among those of the channel; empty: it has none.
    """

    channel_id: UUID
    route_id: UUID | None
    group_key: str = ""
