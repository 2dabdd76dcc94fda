"""What is backed up and how safe it is, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.api.alert.v1.backup_pb2 import HostProfile, JobKind, ProtectionStatus
from tocsin.cli.names import short_name
from tocsin.cli.times import age, moment_of, span, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.api.alert.v1.backup_pb2 import (
        Host,
        Protection,
        Recurrence,
        Schedule,
        SourceGroup,
    )
    from tocsin.cli.grid import Cell

HOST_HEADINGS = ("HOST", "NAME", "PROFILE", "STATE", "HEARD", "LABELS")
GROUP_HEADINGS = ("GROUP", "NAME", "HOST", "OBJECTIVE", "STATE", "REPOSITORY")
SCHEDULE_HEADINGS = ("SCHEDULE", "HOST", "JOB", "OF", "STATE", "NEXT DUE", "LAST RUN", "TIMES")
PROTECTION_HEADINGS = (
    *("STATUS", "GROUP", "HOST", "LAST GOOD", "OBJECTIVE", "NEXT DUE"),
    "OPEN ALERTS",
)

# A skew is corrected, and so worth telling, when it is longer.
_SKEW_SECONDS = 30
_STATUS_STYLES = {"safe": "green", "at_risk": "yellow", "unprotected": "bold red"}


def host_row(host: Host, now: datetime) -> list[Cell]:
    """Return the row of a host under HOST_HEADINGS."""
    return [
        host.host_id,
        host.name,
        short_name(HostProfile, host.profile),
        _watched(host),
        _ago(host, "last_heard_time", now) or "never",
        labels(host),
    ]


def host_fields(host: Host, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what there is to tell about a host, by name."""
    yield "host", host.host_id
    yield "name", host.name
    yield "profile", short_name(HostProfile, host.profile)
    yield "labels", labels(host)
    if host.HasField("offline_after"):
        yield "offline after", span(host.offline_after.ToTimedelta())
    yield "last heard", _at(host, "last_heard_time", now) or "never"
    yield "clock", _clock(host)
    yield "created", stamp(moment_of(host.create_time))
    yield "changed", stamp(moment_of(host.update_time))
    yield "retired", _at(host, "retire_time", now)


def group_row(group: SourceGroup) -> list[Cell]:
    """Return the row of a source group under GROUP_HEADINGS."""
    return [
        group.source_group_id,
        group.name,
        group.host_id,
        _objective(group),
        _watched(group),
        group.repository_id,
    ]


def group_fields(group: SourceGroup, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what there is to tell about a source group, by name."""
    yield "source group", group.source_group_id
    yield "name", group.name
    yield "host", group.host_id
    yield "repository", group.repository_id
    yield "objective", _objective(group) or "none: its alerts do not rise"
    yield "created", stamp(moment_of(group.create_time))
    yield "changed", stamp(moment_of(group.update_time))
    yield "retired", _at(group, "retire_time", now)


def schedule_row(schedule: Schedule, now: datetime) -> list[Cell]:
    """Return the row of a schedule under SCHEDULE_HEADINGS."""
    return [
        schedule.schedule_id,
        schedule.host_id,
        short_name(JobKind, schedule.job_kind),
        schedule.source_group_id or schedule.repository_id,
        _state(schedule),
        _ago(schedule, "next_due_time", now),
        _ago(schedule, "last_finish_time", now) or "never",
        recurrence_text(schedule.recurrence),
    ]


def schedule_fields(schedule: Schedule, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what there is to tell about a schedule, by name."""
    yield "schedule", schedule.schedule_id
    yield "host", schedule.host_id
    yield "job", short_name(JobKind, schedule.job_kind)
    yield "source group", schedule.source_group_id
    yield "repository", schedule.repository_id
    yield "times", recurrence_text(schedule.recurrence)
    yield "grace", span(schedule.grace.ToTimedelta())
    yield "runs at most", span(schedule.max_duration.ToTimedelta())
    yield "state", _state(schedule)
    yield "last run", _at(schedule, "last_finish_time", now) or "never"
    yield "next due", _at(schedule, "next_due_time", now)
    yield "stale from", _at(schedule, "deadline_time", now)
    yield "created", stamp(moment_of(schedule.create_time))
    yield "changed", stamp(moment_of(schedule.update_time))
    yield "retired", _at(schedule, "retire_time", now)


def protection_row(protection: Protection, now: datetime) -> list[Cell]:
    """Return the row of a source group under PROTECTION_HEADINGS."""
    group = protection.source_group
    name = short_name(ProtectionStatus, protection.status)
    return [
        Text(name.replace("_", " "), style=_STATUS_STYLES.get(name, "")),
        group.name or group.source_group_id,
        protection.host_name,
        _ago(protection, "last_good_backup_time", now) or "never",
        _objective(group) + _passed(protection),
        _ago(protection, "next_due_time", now),
        ", ".join(dict.fromkeys(alert.kind for alert in protection.open_alerts)),
    ]


def recurrence_text(recurrence: Recurrence) -> str:
    """Tell when runs are due: `30 2 * * * Europe/Berlin`, `6h after the run before`."""
    match recurrence.WhichOneof("times"):
        case "cron":
            return f"{recurrence.cron} {recurrence.time_zone}"
        case "on_calendar":
            return f"{recurrence.on_calendar} {recurrence.time_zone}"
        case _:
            return f"{span(recurrence.interval.ToTimedelta())} after the run before"


def labels(host: Host) -> str:
    """Tell the labels of a host on one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(host.labels.items()))


def _objective(group: SourceGroup) -> str:
    return span(group.objective.ToTimedelta()) if group.HasField("objective") else ""


def _passed(protection: Protection) -> str:
    """Tell how far the objective has been passed."""
    multiple = protection.objective_multiple
    return "" if not multiple else " passed" if multiple == 1 else f" passed {multiple} times"


def _watched(thing: Host | SourceGroup) -> str:
    return "retired" if thing.HasField("retire_time") else "watched"


def _state(schedule: Schedule) -> str:
    if schedule.HasField("retire_time"):
        return "retired"
    return "enabled" if schedule.enabled else "disabled"


def _clock(host: Host) -> str:
    if not host.HasField("clock_skew"):
        return ""
    skew = host.clock_skew.ToTimedelta()
    if abs(skew.total_seconds()) <= _SKEW_SECONDS:
        return "right"
    side = "ahead" if skew.total_seconds() > 0 else "behind"
    return f"{span(abs(skew))} {side}; the times it reports are corrected"


def _moment(thing: object, name: str) -> Timestamp | None:
    return getattr(thing, name) if thing.HasField(name) else None  # type: ignore[attr-defined]  # any message


def _ago(thing: object, name: str, now: datetime) -> str:
    moment = _moment(thing, name)
    return "" if moment is None else age(moment_of(moment), now)


def _at(thing: object, name: str, now: datetime) -> str:
    moment = _moment(thing, name)
    return "" if moment is None else f"{stamp(moment_of(moment))} ({age(moment_of(moment), now)})"
