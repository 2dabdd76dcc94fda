"""The jobs that were reported, each by its id. Writes are for the ledger, under the host's lock."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.alert.domain.job import Job, JobKind, JobResult
from tocsin.alert.store.races import RacedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    import asyncpg

    from tocsin.alert.domain.job import Summary

_COLUMNS = (
    "job_id, host_id, job_kind, source_group_id, repository_id, schedule_id, fingerprint,"
    " start_time, finish_time, result, cause, exit_code, receive_time"
)

_READ = f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ANY($1::text[])"  # noqa: S608 -- constants

# An end is written once, a start once before it: what another transaction has written meanwhile
# stays, and is missing from the count.
_WRITE = f"""
INSERT INTO jobs AS stored ({_COLUMNS}, summary)
SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[],
                     $7::bytea[], $8::timestamptz[], $9::timestamptz[], $10::smallint[],
                     $11::text[], $12::integer[], $13::timestamptz[], $14::jsonb[])
     AS reported (job_id)
ORDER BY job_id
ON CONFLICT (job_id) DO UPDATE
SET fingerprint = excluded.fingerprint, start_time = excluded.start_time,
    finish_time = excluded.finish_time, result = excluded.result, cause = excluded.cause,
    exit_code = excluded.exit_code, receive_time = excluded.receive_time,
    summary = excluded.summary
WHERE stored.host_id = excluded.host_id AND stored.finish_time IS NULL
  AND excluded.finish_time IS NOT NULL
RETURNING 1
"""  # noqa: S608 -- constants

# So many say enough of an agent that starts jobs and never ends them.
_MOST_UNFINISHED = 1_000

_UNFINISHED = f"""
SELECT wanted.host_id, wanted.schedule_id, wanted.job_kind, job.job_id, job.start_time
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::timestamptz[])
     AS wanted (host_id, schedule_id, job_kind, after),
     LATERAL (
         SELECT job_id, start_time FROM jobs
         WHERE jobs.schedule_id = wanted.schedule_id AND jobs.schedule_id <> ''
           AND jobs.finish_time IS NULL
           AND jobs.host_id = wanted.host_id AND jobs.job_kind = wanted.job_kind
           AND (wanted.after IS NULL OR jobs.start_time > wanted.after)
         ORDER BY start_time LIMIT {_MOST_UNFINISHED}
     ) AS job
"""  # noqa: S608 -- constants

_LAST_FINISHES = """
SELECT wanted.host_id, wanted.schedule_id, wanted.job_kind, job.finish_time
FROM unnest($1::text[], $2::text[], $3::smallint[]) AS wanted (host_id, schedule_id, job_kind),
     LATERAL (
         SELECT finish_time FROM jobs
         WHERE jobs.schedule_id = wanted.schedule_id AND jobs.schedule_id <> ''
           AND jobs.finish_time IS NOT NULL
           AND jobs.host_id = wanted.host_id AND jobs.job_kind = wanted.job_kind
           AND jobs.result <> 4
         ORDER BY finish_time DESC LIMIT 1
     ) AS job
"""


class RunLine(NamedTuple):
    """The runs of one kind that one host reports under one schedule, put or not."""

    host_id: str
    schedule_id: str
    kind: JobKind


class StoredJob(NamedTuple):
    """What is remembered of a job. `finish_time` and `result` are None until it has ended.

    `summary` is written only, not read.
    """

    job: Job
    receive_time: datetime
    start_time: datetime | None = None
    finish_time: datetime | None = None
    result: JobResult | None = None
    cause: str = ""
    exit_code: int | None = None
    fingerprint: bytes | None = None
    summary: Summary | None = None


async def read_jobs(
    connection: asyncpg.Connection, job_ids: Collection[str]
) -> dict[str, StoredJob]:
    """Return those of the jobs that were reported."""
    return {row["job_id"]: _job_of(row) for row in await connection.fetch(_READ, job_ids)}


async def unfinished_jobs(
    connection: asyncpg.Connection, after: Mapping[RunLine, datetime | None]
) -> dict[RunLine, dict[str, datetime]]:
    """Return the starts, by job id, of runs without an end that began after a time (None: ever).

    The first 1,000 of each line.
    """
    times = list(after.values())
    rows = await connection.fetch(_UNFINISHED, *zip(*after, strict=True), times)
    found: dict[RunLine, dict[str, datetime]] = {line: {} for line in after}
    for *line, job_id, start_time in rows:
        found[_line_of(line)][job_id] = start_time
    return found


async def last_finishes(
    connection: asyncpg.Connection, lines: Collection[RunLine]
) -> dict[RunLine, datetime]:
    """Return when the latest run that counts, not CANCELLED, ended: of those lines that had one."""
    rows = await connection.fetch(_LAST_FINISHES, *zip(*lines, strict=True))
    return {_line_of(line): finish_time for *line, finish_time in rows}


async def write_jobs(connection: asyncpg.Connection, stored: Mapping[str, StoredJob]) -> None:
    """Write jobs that are new or have ended.

    Raises RacedError when another transaction has reported one of them meanwhile.
    """
    rows = [_values(each) for each in stored.values()]
    written = await connection.fetch(_WRITE, *zip(*rows, strict=True))
    if len(written) != len(rows):
        raise RacedError


def _line_of(values: list[Any]) -> RunLine:
    host_id, schedule_id, kind = values
    return RunLine(host_id, schedule_id, JobKind(kind))


def _job_of(row: Mapping[str, Any]) -> StoredJob:
    job = Job(
        row["job_id"],
        row["host_id"],
        JobKind(row["job_kind"]),
        row["source_group_id"],
        row["repository_id"],
        row["schedule_id"],
    )
    return StoredJob(
        job,
        row["receive_time"],
        start_time=row["start_time"],
        finish_time=row["finish_time"],
        result=None if row["result"] is None else JobResult(row["result"]),
        cause=row["cause"],
        exit_code=row["exit_code"],
        fingerprint=row["fingerprint"],
    )


def _values(stored: StoredJob) -> tuple[Any, ...]:
    job = stored.job
    summary = stored.summary
    return (
        job.job_id,
        job.host_id,
        job.kind,
        job.source_group_id,
        job.repository_id,
        job.schedule_id,
        stored.fingerprint,
        stored.start_time,
        stored.finish_time,
        stored.result,
        stored.cause,
        stored.exit_code,
        stored.receive_time,
        None if summary is None else json.dumps(asdict(summary)),
    )
