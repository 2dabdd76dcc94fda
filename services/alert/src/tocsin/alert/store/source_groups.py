"""The registry of source groups. Writes here are for the ledger, under the lock of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.alert.domain.source_group import SourceGroup, SourceGroupSpec
from tocsin.alert.store.races import RacedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    import asyncpg

# What a SELECT must name for `source_group_of` to read its rows.
COLUMNS = (
    "source_group_id, host_id, repository_id, name, objective, create_time, update_time,"
    " retire_time"
)

_SELECT = f"SELECT {COLUMNS}, rise_look_time FROM source_groups"  # noqa: S608 -- constants

_READ = f"""
{_SELECT} WHERE source_group_id = ANY($1::text[])
UNION ALL
{_SELECT} WHERE host_id = ANY($2::text[])
"""

_HOSTS = (
    "SELECT source_group_id, host_id FROM source_groups WHERE source_group_id = ANY($1::text[])"
)

# A row keeps its host. One that another transaction has just put on another host stays as it is,
# and is missing from the count.
_WRITE = """
INSERT INTO source_groups AS stored
    (source_group_id, host_id, repository_id, name, objective, create_time, update_time,
     retire_time, rise_look_time)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::interval[],
                     $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
     AS put (source_group_id)
ORDER BY source_group_id
ON CONFLICT (source_group_id) DO UPDATE
SET repository_id = excluded.repository_id, name = excluded.name, objective = excluded.objective,
    create_time = excluded.create_time, update_time = excluded.update_time,
    retire_time = excluded.retire_time, rise_look_time = excluded.rise_look_time
WHERE stored.host_id = excluded.host_id
RETURNING 1
"""


class StoredSourceGroup(NamedTuple):
    """A source group, and when a sweep looks whether its alerts rise: None for never."""

    group: SourceGroup
    rise_look_time: datetime | None = None


async def get_source_group(
    connection: asyncpg.Connection, source_group_id: str
) -> SourceGroup | None:
    """Return a source group, also a retired one."""
    row = await connection.fetchrow(f"{_SELECT} WHERE source_group_id = $1", source_group_id)
    return None if row is None else source_group_of(row)


async def list_source_groups(
    connection: asyncpg.Connection,
    after: str,
    limit: int,
    *,
    host_id: str = "",
    include_retired: bool = False,
) -> list[SourceGroup]:
    """Return source groups in the order of their ids, those after one id ('' is before all).

    With a `host_id` only those of that host.
    """
    of_host = " AND host_id = $4" if host_id else ""
    query = f"""
        {_SELECT} WHERE source_group_id > $1 AND ($3 OR retire_time IS NULL){of_host}
        ORDER BY source_group_id LIMIT $2
    """
    values = (after, limit, include_retired, *((host_id,) if host_id else ()))
    return [source_group_of(row) for row in await connection.fetch(query, *values)]


async def hosts_of_source_groups(
    connection: asyncpg.Connection, source_group_ids: Collection[str]
) -> dict[str, str]:
    """Return the hosts of those that exist. The host of a source group never changes."""
    rows = await connection.fetch(_HOSTS, source_group_ids)
    return {row[0]: row[1] for row in rows}


async def read_source_groups(
    connection: asyncpg.Connection, source_group_ids: Collection[str], host_ids: Collection[str]
) -> dict[str, StoredSourceGroup]:
    """Return those that exist of some source groups, and all that lie on some hosts."""
    rows = await connection.fetch(_READ, source_group_ids, host_ids)
    return {
        row["source_group_id"]: StoredSourceGroup(source_group_of(row), row["rise_look_time"])
        for row in rows
    }


async def write_source_groups(
    connection: asyncpg.Connection, stored: Mapping[str, StoredSourceGroup]
) -> None:
    """Write source groups, new or changed.

    Raises RacedError when one was put on another host meanwhile.
    """
    rows = [_values(each) for each in stored.values()]
    written = await connection.fetch(_WRITE, *zip(*rows, strict=True))
    if len(written) != len(rows):
        raise RacedError


def source_group_of(row: Mapping[str, Any]) -> SourceGroup:
    """Read a row that has all of COLUMNS."""
    return SourceGroup(
        SourceGroupSpec(
            source_group_id=row["source_group_id"],
            host_id=row["host_id"],
            repository_id=row["repository_id"],
            name=row["name"],
            objective=row["objective"],
        ),
        create_time=row["create_time"],
        update_time=row["update_time"],
        retire_time=row["retire_time"],
    )


def _values(stored: StoredSourceGroup) -> tuple[Any, ...]:
    group = stored.group
    return (
        group.spec.source_group_id,
        group.spec.host_id,
        group.spec.repository_id,
        group.spec.name,
        group.spec.objective,
        group.create_time,
        group.update_time,
        group.retire_time,
        stored.rise_look_time,
    )
