"""The registry of schedules. Writes here are for the ledger, under the lock of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.alert.domain.job import JobKind
from tocsin.alert.domain.schedule import (
    Cron,
    Interval,
    OnCalendar,
    Runs,
    Schedule,
    ScheduleSpec,
)
from tocsin.alert.store.races import RacedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import asyncpg

    from tocsin.alert.domain.schedule import Recurrence

# The columns with their types; a row keeps the fixed ones for life.
_FIXED = (("schedule_id", "text"), ("host_id", "text"))
_CHANGING = (
    ("job_kind", "smallint"),
    ("source_group_id", "text"),
    ("repository_id", "text"),
    ("cron", "text"),
    ("on_calendar", "text"),
    ("run_interval", "interval"),
    ("time_zone", "text"),
    ("grace", "interval"),
    ("max_duration", "interval"),
    ("enabled", "boolean"),
    ("create_time", "timestamptz"),
    ("update_time", "timestamptz"),
    ("retire_time", "timestamptz"),
    ("anchor_time", "timestamptz"),
    ("last_finish_time", "timestamptz"),
    ("unfinished_start_time", "timestamptz"),
    ("due_time", "timestamptz"),
    ("deadline_time", "timestamptz"),
    ("look_time", "timestamptz"),
)
_COLUMNS = ", ".join(name for name, _ in _FIXED + _CHANGING)

_SELECT = f"SELECT {_COLUMNS} FROM schedules"  # noqa: S608 -- constants

_READ = f"""
{_SELECT} WHERE schedule_id = ANY($1::text[])
UNION ALL
{_SELECT} WHERE host_id = ANY($2::text[])
UNION ALL
{_SELECT} WHERE source_group_id = ANY($3::text[]) AND source_group_id <> ''
"""

_PLACES = """
SELECT schedule_id, host_id, source_group_id FROM schedules WHERE schedule_id = ANY($1::text[])
UNION ALL
SELECT schedule_id, host_id, source_group_id FROM schedules
WHERE source_group_id = ANY($2::text[]) AND source_group_id <> ''
"""


def _arrays(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"${place}::{type_}[]" for place, (_, type_) in enumerate(columns, start=1))


# A row keeps its host, as those of source_groups do.
_WRITE = f"""
INSERT INTO schedules AS stored ({_COLUMNS})
SELECT * FROM unnest({_arrays(_FIXED + _CHANGING)}) AS put (schedule_id)
ORDER BY schedule_id
ON CONFLICT (schedule_id) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name, _ in _CHANGING)}
WHERE stored.host_id = excluded.host_id
RETURNING 1
"""  # noqa: S608 -- constants


class StoredSchedule(NamedTuple):
    """A schedule, and when a sweep looks at it next: None for never."""

    schedule: Schedule
    look_time: datetime | None = None


class SchedulePlace(NamedTuple):
    """Where a schedule belongs."""

    schedule_id: str
    host_id: str
    source_group_id: str


async def get_schedule(connection: asyncpg.Connection, schedule_id: str) -> Schedule | None:
    """Return a schedule, also a retired one."""
    row = await connection.fetchrow(f"{_SELECT} WHERE schedule_id = $1", schedule_id)
    return None if row is None else schedule_of(row)


async def list_schedules(
    connection: asyncpg.Connection,
    after: str,
    limit: int,
    *,
    host_id: str = "",
    include_retired: bool = False,
) -> list[Schedule]:
    """Return schedules in the order of their ids, those after one id ('' is before all).

    With a `host_id` only those of that host.
    """
    of_host = " AND host_id = $4" if host_id else ""
    query = f"""
        {_SELECT} WHERE schedule_id > $1 AND ($3 OR retire_time IS NULL){of_host}
        ORDER BY schedule_id LIMIT $2
    """
    values = (after, limit, include_retired, *((host_id,) if host_id else ()))
    return [schedule_of(row) for row in await connection.fetch(query, *values)]


async def places_of_schedules(
    connection: asyncpg.Connection,
    schedule_ids: Collection[str],
    source_group_ids: Collection[str],
) -> list[SchedulePlace]:
    """Return where those of some schedules that exist belong, and all of some source groups."""
    rows = await connection.fetch(_PLACES, schedule_ids, source_group_ids)
    return list({SchedulePlace(*row) for row in rows})


async def read_schedules(
    connection: asyncpg.Connection,
    schedule_ids: Collection[str],
    host_ids: Collection[str],
    source_group_ids: Collection[str],
) -> dict[str, StoredSchedule]:
    """Return those of some schedules that exist, and all of some hosts and source groups."""
    rows = await connection.fetch(_READ, schedule_ids, host_ids, source_group_ids)
    return {row["schedule_id"]: StoredSchedule(schedule_of(row), row["look_time"]) for row in rows}


async def write_schedules(
    connection: asyncpg.Connection, stored: Mapping[str, StoredSchedule]
) -> None:
    """Write schedules, new or changed.

    Raises RacedError when one was put for another host meanwhile.
    """
    rows = [_values(each) for each in stored.values()]
    written = await connection.fetch(_WRITE, *zip(*rows, strict=True))
    if len(written) != len(rows):
        raise RacedError


def schedule_of(row: Mapping[str, Any]) -> Schedule:
    """Read a row that has all columns."""
    return Schedule(
        ScheduleSpec(
            schedule_id=row["schedule_id"],
            host_id=row["host_id"],
            job_kind=JobKind(row["job_kind"]),
            recurrence=_recurrence_of(row),
            source_group_id=row["source_group_id"],
            repository_id=row["repository_id"],
            grace=row["grace"],
            max_duration=row["max_duration"],
            enabled=row["enabled"],
        ),
        create_time=row["create_time"],
        update_time=row["update_time"],
        runs=Runs(row["anchor_time"], row["last_finish_time"], row["unfinished_start_time"]),
        retire_time=row["retire_time"],
        due_time=row["due_time"],
        deadline_time=row["deadline_time"],
    )


def _recurrence_of(row: Mapping[str, Any]) -> Recurrence:
    if row["cron"] is not None:
        return Cron(row["cron"], row["time_zone"])
    if row["on_calendar"] is not None:
        return OnCalendar(row["on_calendar"], row["time_zone"])
    return Interval(row["run_interval"])


def _recurrence_values(recurrence: Recurrence) -> tuple[Any, ...]:
    match recurrence:
        case Cron():
            return (recurrence.expression, None, None, recurrence.time_zone)
        case OnCalendar():
            return (None, recurrence.expression, None, recurrence.time_zone)
        case Interval():
            return (None, None, recurrence.length, "")


def _values(stored: StoredSchedule) -> tuple[Any, ...]:
    schedule = stored.schedule
    spec = schedule.spec
    return (
        spec.schedule_id,
        spec.host_id,
        spec.job_kind,
        spec.source_group_id,
        spec.repository_id,
        *_recurrence_values(spec.recurrence),
        spec.grace,
        spec.max_duration,
        spec.enabled,
        schedule.create_time,
        schedule.update_time,
        schedule.retire_time,
        schedule.runs.anchor_time,
        schedule.runs.last_finish_time,
        schedule.runs.unfinished_start_time,
        schedule.due_time,
        schedule.deadline_time,
        stored.look_time,
    )
