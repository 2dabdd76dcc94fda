"""What may be said of hosts, source groups, schedules and jobs: the keyword arguments of the
backup clients and of `backup_requests`.

All are optional. Times must be aware; enum values are given by a short name (`backup`, `laptop`)
or a number. Bounds and what an unset field means stand at each in `backup_service.proto`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from tocsin.api.alert.v1.backup_pb2 import BackupSummary


class HostFields(TypedDict, total=False):
    """What is put of a host. `profile` is `server`, `laptop` or `ephemeral`."""

    name: str
    labels: Mapping[str, str] | None
    profile: str | int | None
    offline_after: timedelta | None


class SourceGroupFields(TypedDict, total=False):
    """What is put of a source group. `objective`: how old its last good backup may become."""

    repository_id: str
    name: str
    objective: timedelta | None


class ScheduleFields(TypedDict, total=False):
    """What is put of a schedule: exactly one of `cron`, `on_calendar` and `interval`.

    `time_zone` is of the IANA database (`Europe/Berlin`), '' for UTC.
    """

    cron: str
    on_calendar: str
    interval: timedelta | None
    time_zone: str
    source_group_id: str
    repository_id: str
    grace: timedelta | None
    max_duration: timedelta | None
    enabled: bool | None


class JobFields(TypedDict, total=False):
    """What is said of a job that has begun.

    `send_time` is the clock of the machine whose times these are, as the report is sent; when it
    is not given, the client's own.
    """

    source_group_id: str
    repository_id: str
    schedule_id: str
    start_time: datetime | None
    send_time: datetime | None


class JobEndFields(JobFields, total=False):
    """What is said of a job that has ended. `error_text`: what the program said of its failure."""

    exit_code: int | None
    error_text: str
    finish_time: datetime | None
    summary: BackupSummary | None


class ListFields(TypedDict, total=False):
    """Which page of which source groups or schedules: `host_id` '' means of all hosts."""

    host_id: str
    include_retired: bool
    page_size: int
    page_token: str


class WalkFields(TypedDict, total=False):
    """Which source groups or schedules, page by page."""

    host_id: str
    include_retired: bool
    page_size: int
