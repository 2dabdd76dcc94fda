"""Ids under which other hosts report, whether or not anything of that id was put."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    import asyncpg

# One pass over the streams however many are wanted, as no index has them by their source group:
# it is for what is put the first time by callers that are bound to hosts, which is seldom. Kind 1
# is that of backups.
_GROUPS = """
WITH known AS MATERIALIZED (
    SELECT of_id, min(host_id) AS first, max(host_id) AS last FROM job_streams
    WHERE job_kind = 1 AND of_id = ANY($1::text[])
    GROUP BY of_id
)
SELECT wanted.source_group_id, wanted.host_id
FROM unnest($1::text[], $2::text[]) AS wanted (source_group_id, host_id)
JOIN known ON known.of_id = wanted.source_group_id
WHERE known.first <> wanted.host_id OR known.last <> wanted.host_id
"""

_SCHEDULES = """
SELECT wanted.schedule_id, wanted.host_id
FROM unnest($1::text[], $2::text[]) AS wanted (schedule_id, host_id),
     LATERAL (
         SELECT 1 FROM jobs
         WHERE jobs.schedule_id = wanted.schedule_id AND jobs.schedule_id <> ''
           AND jobs.host_id <> wanted.host_id
         LIMIT 1
     ) AS of_another
"""


async def groups_of_others(
    connection: asyncpg.Connection, wanted: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return those pairs of a source group and a host for which another host ended a backup."""
    return await _those(connection, _GROUPS, wanted)


async def schedules_of_others(
    connection: asyncpg.Connection, wanted: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return those pairs of a schedule and a host for which a job of another host is known."""
    return await _those(connection, _SCHEDULES, wanted)


async def _those(
    connection: asyncpg.Connection, query: str, wanted: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    rows = await connection.fetch(query, *zip(*wanted, strict=True))
    return {(row[0], row[1]) for row in rows}
