"""The rows of a spool: from reports and back, and which are dropped when there is no room."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError

from tocsin.api.alert.v1.backup_service_pb2 import (
    ReportJobFinishedRequest,
    ReportJobStartedRequest,
)
from tocsin.client.moments import Moment

if TYPE_CHECKING:
    import sqlite3

    from tocsin.client.backup_requests import JobReport

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Below this it is what reading two clocks one after the other makes.
_NOTICED = timedelta(seconds=1)
_COLUMNS = "number, kind, job_id, report, made_wall, made_uptime, boot_id, attempts, reason"
_FINISHED = "finished"
# The first to go when there is no room: what was refused, then starts. That a run ended, and how,
# matters most and is kept longest.
_LEAST_FIRST = f"reason IS NULL, kind = '{_FINISHED}', number"


@dataclass(frozen=True, slots=True)
class SpoolBounds:
    """How much a spool keeps at most; what is beyond is dropped and counted."""

    reports: int = 10_000
    total_bytes: int = 64 << 20
    age: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Spooled:
    """A report that is kept; its times are as the clock stood when it was `made`.

    `reason` says why it was set aside; it is None for one that waits to be sent.
    """

    number: int
    report: JobReport
    made: Moment
    attempts: int
    reason: str | None

    def as_of(self, now: Moment) -> JobReport:
        """Return the report with its times as the clock of `now` would have told them.

        Not one that names its send_time: it is of another clock.
        """
        turned = self.made.on_the_clock_of(now)
        report = copy.deepcopy(self.report)
        if report.HasField("send_time") or abs(turned) < _NOTICED:
            return report
        times = [report.start_time] if report.HasField("start_time") else []
        if isinstance(report, ReportJobFinishedRequest) and report.HasField("finish_time"):
            times.append(report.finish_time)
        for each in times:
            each.FromDatetime(each.ToDatetime(tzinfo=UTC) + turned)
        return report


class _Row(NamedTuple):
    number: int
    kind: str
    job_id: str
    report: bytes
    made_wall: int
    made_uptime: int
    boot_id: str
    attempts: int
    reason: str | None


def insert(file: sqlite3.Connection, report: JobReport, now: Moment) -> None:
    """Keep a report. One that lacks its start or end gets the time of now."""
    kept = copy.deepcopy(report)
    is_end = isinstance(kept, ReportJobFinishedRequest)
    if isinstance(kept, ReportJobFinishedRequest) and not kept.HasField("finish_time"):
        kept.finish_time.FromDatetime(now.wall)
    elif not is_end and not kept.HasField("start_time"):
        kept.start_time.FromDatetime(now.wall)
    file.execute(
        "INSERT INTO reports (kind, job_id, report, made_wall, made_uptime, boot_id)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            _FINISHED if is_end else "started",
            kept.job_id,
            kept.SerializeToString(),
            _wall(now),
            _uptime(now),
            now.boot_id,
        ),
    )


def select(file: sqlite3.Connection, *, set_aside: bool, limit: int) -> list[Spooled]:
    """Return reports in the order in which they were taken."""
    condition = "IS NOT NULL" if set_aside else "IS NULL"
    rows = file.execute(
        f"SELECT {_COLUMNS} FROM reports WHERE reason {condition}"  # noqa: S608 - own words only
        " ORDER BY number LIMIT ?",
        (limit,),
    )
    return [_spooled(_Row(*row)) for row in rows]


def drop(file: sqlite3.Connection, now: Moment, bounds: SpoolBounds) -> int:
    """Drop what is too old, then the least of the rest while there is too much; count both."""
    dropped = _too_old(file, now, bounds)
    file.executemany("DELETE FROM reports WHERE number = ?", [(number,) for number, _ in dropped])
    surplus = _surplus(file, bounds)
    file.executemany("DELETE FROM reports WHERE number = ?", [(number,) for number, _ in surplus])
    dropped += surplus
    file.executemany(
        "INSERT INTO dropped (kind, count) VALUES (?, 1)"
        " ON CONFLICT (kind) DO UPDATE SET count = count + 1",
        [(kind,) for _, kind in dropped],
    )
    return len(dropped)


def _too_old(file: sqlite3.Connection, now: Moment, bounds: SpoolBounds) -> list[tuple[int, str]]:
    rows = file.execute(
        "SELECT number, kind FROM reports WHERE CASE"
        " WHEN boot_id = :boot AND :boot != '' AND made_uptime <= :uptime"
        " THEN :uptime - made_uptime ELSE :wall - made_wall END > :age",
        {
            "boot": now.boot_id,
            "uptime": _uptime(now),
            "wall": _wall(now),
            "age": bounds.age // _MICROSECOND,
        },
    )
    return rows.fetchall()


def _surplus(file: sqlite3.Connection, bounds: SpoolBounds) -> list[tuple[int, str]]:
    sizes = "SELECT count(*), coalesce(sum(length(report)), 0) FROM reports"
    count, size = file.execute(sizes).fetchone()
    surplus = list[tuple[int, str]]()
    if count <= bounds.reports and size <= bounds.total_bytes:
        return surplus
    for number, kind, length in file.execute(
        f"SELECT number, kind, length(report) FROM reports ORDER BY {_LEAST_FIRST}"  # noqa: S608 - own words only
    ):
        if count <= bounds.reports and size <= bounds.total_bytes:
            break
        surplus.append((number, kind))
        count, size = count - 1, size - length
    return surplus


def _spooled(row: _Row) -> Spooled:
    request = ReportJobFinishedRequest() if row.kind == _FINISHED else ReportJobStartedRequest()
    with suppress(DecodeError):  # what is damaged goes out incomplete, is refused, and set aside
        request.ParseFromString(row.report)
    request.job_id = row.job_id
    wall = _EPOCH + row.made_wall * _MICROSECOND
    made = Moment(wall, row.made_uptime * _MICROSECOND, row.boot_id)
    return Spooled(row.number, request, made, row.attempts, row.reason)


def _wall(moment: Moment) -> int:
    return (moment.wall - _EPOCH) // _MICROSECOND


def _uptime(moment: Moment) -> int:
    return moment.uptime // _MICROSECOND
