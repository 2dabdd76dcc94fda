"""What is expected of a host: runs, when they are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.job import JobKind

DEFAULT_GRACE = timedelta(minutes=15)
DEFAULT_MAX_DURATION = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields of cron, in a time zone of the IANA database."""

    expression: str
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class OnCalendar:
    """A calendar event of systemd.time(7), in a time zone of the IANA database."""

    expression: str
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Interval:
    """So long after the end of the run before."""

    length: timedelta


Recurrence: TypeAlias = Cron | OnCalendar | Interval


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """What is put of a schedule."""

    schedule_id: str
    host_id: str
    job_kind: JobKind
    recurrence: Recurrence
    source_group_id: str = ""
    repository_id: str = ""
    grace: timedelta = DEFAULT_GRACE
    max_duration: timedelta = DEFAULT_MAX_DURATION
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Runs:
    """What is known of a schedule's runs, in the world, in whatever order it was reported.

    `anchor_time`: runs due up to then are not asked for: when the times, the grace or being
    enabled last changed. `last_finish_time` is the latest end of a run that counts (any result
    but CANCELLED) and only grows. `unfinished_start_time` is the earliest start after it of a run
    that has not ended.
    """

    anchor_time: datetime
    last_finish_time: datetime | None = None
    unfinished_start_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """One entry of the registry. `create_time`, `update_time` and `retire_time` are of the
    server's clock.

    `due_time` is the run that is waited for, `deadline_time` when it is stale; None while none is
    waited for or it cannot be computed.
    """

    spec: ScheduleSpec
    create_time: datetime
    update_time: datetime
    runs: Runs
    retire_time: datetime | None = None
    due_time: datetime | None = None
    deadline_time: datetime | None = None
