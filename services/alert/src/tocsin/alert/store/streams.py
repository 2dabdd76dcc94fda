"""What is remembered of each stream of jobs. Writes are for the ledger, under the host's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.job import Ended, JobKind, LastFailure, Stream, StreamState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import asyncpg

# What a SELECT must name for `state_of` to read its rows.
COLUMNS = (
    "success_time, success_job_id, incomplete_time, incomplete_job_id, incomplete_cause,"
    " incomplete_message, failure_time, failure_job_id, failure_cause, failure_message"
)

_READ = f"""
SELECT host_id, job_kind, of_id, {COLUMNS}
FROM unnest($1::text[], $2::smallint[], $3::text[]) AS wanted (host_id, job_kind, of_id)
JOIN job_streams USING (host_id, job_kind, of_id)
"""  # noqa: S608 -- constants

_WRITE = f"""
INSERT INTO job_streams (host_id, job_kind, of_id, {COLUMNS})
SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::timestamptz[], $5::text[],
                     $6::timestamptz[], $7::text[], $8::text[], $9::text[],
                     $10::timestamptz[], $11::text[], $12::text[], $13::text[])
ON CONFLICT (host_id, job_kind, of_id) DO UPDATE
SET ({COLUMNS}) = ROW (
    excluded.success_time, excluded.success_job_id, excluded.incomplete_time,
    excluded.incomplete_job_id, excluded.incomplete_cause, excluded.incomplete_message,
    excluded.failure_time, excluded.failure_job_id, excluded.failure_cause,
    excluded.failure_message)
"""  # noqa: S608 -- constants


async def read_streams(
    connection: asyncpg.Connection, streams: Collection[Stream]
) -> dict[Stream, StreamState]:
    """Return what is remembered of those streams that had a job that ended."""
    rows = await connection.fetch(_READ, *zip(*streams, strict=True))
    return {
        Stream(row["host_id"], JobKind(row["job_kind"]), row["of_id"]): state_of(row)
        for row in rows
    }


async def write_streams(
    connection: asyncpg.Connection, states: Mapping[Stream, StreamState]
) -> None:
    """Write what is remembered of streams, new or changed."""
    rows = [(*stream, *_values(state)) for stream, state in states.items()]
    await connection.execute(_WRITE, *zip(*rows, strict=True))


def state_of(row: Mapping[str, Any]) -> StreamState:
    """Read a row that has all of COLUMNS; all of them NULL means that nothing is remembered."""
    success = row["success_time"]
    return StreamState(
        None if success is None else Ended(success, row["success_job_id"]),
        _failure_of(row, "incomplete"),
        _failure_of(row, "failure"),
    )


def _failure_of(row: Mapping[str, Any], sort: str) -> LastFailure | None:
    time = row[f"{sort}_time"]
    if time is None:
        return None
    ended = Ended(time, row[f"{sort}_job_id"])
    return LastFailure(ended, row[f"{sort}_cause"], row[f"{sort}_message"])


def _values(state: StreamState) -> tuple[Any, ...]:
    return (
        *(state.last_success or (None, None)),
        *_failure_values(state.last_incomplete),
        *_failure_values(state.last_failure),
    )


def _failure_values(last: LastFailure | None) -> tuple[Any, ...]:
    return (None,) * 4 if last is None else (*last.ended, last.cause, last.message)
