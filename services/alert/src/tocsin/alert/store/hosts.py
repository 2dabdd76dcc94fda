"""The host registry. Writes here are for the ledger, under the lock of the host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.host import Host, HostSpec, Profile, Signs
from tocsin.alert.store.signs import COLUMNS as SIGNS
from tocsin.alert.store.signs import signs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import asyncpg

_COLUMNS = (
    "hosts.host_id, name, labels, profile, offline_after, create_time, update_time, retire_time"
)
_JOINED = f"SELECT {_COLUMNS}, {SIGNS} FROM hosts LEFT JOIN host_signs USING (host_id)"  # noqa: S608

_READ = f"SELECT {_COLUMNS} FROM hosts WHERE host_id = ANY($1::text[])"  # noqa: S608 -- constants

_GET = f"{_JOINED} WHERE hosts.host_id = $1"

_LIST = f"""
{_JOINED} WHERE hosts.host_id > $1 AND ($3 OR retire_time IS NULL)
ORDER BY hosts.host_id LIMIT $2
"""

_WRITE = """
INSERT INTO hosts
    (host_id, name, labels, profile, offline_after, create_time, update_time, retire_time)
SELECT host_id, name, labels::jsonb, profile, offline_after, create_time, update_time, retire_time
FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::interval[],
            $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])
     AS put (host_id, name, labels, profile, offline_after, create_time, update_time, retire_time)
ON CONFLICT (host_id) DO UPDATE
SET name = excluded.name, labels = excluded.labels, profile = excluded.profile,
    offline_after = excluded.offline_after, create_time = excluded.create_time,
    update_time = excluded.update_time, retire_time = excluded.retire_time
"""


async def get_host(connection: asyncpg.Connection, host_id: str) -> Host | None:
    """Return a host, also a retired one."""
    row = await connection.fetchrow(_GET, host_id)
    return None if row is None else _host_of(row, signs_of(row))


async def list_hosts(
    connection: asyncpg.Connection, after: str, limit: int, *, include_retired: bool = False
) -> list[Host]:
    """Return hosts in the order of their ids, those after one id ('' is before all)."""
    rows = await connection.fetch(_LIST, after, limit, include_retired)
    return [_host_of(row, signs_of(row)) for row in rows]


async def read_hosts(connection: asyncpg.Connection, host_ids: Collection[str]) -> dict[str, Host]:
    """Return those of the hosts that were put, without their signs of life."""
    rows = await connection.fetch(_READ, host_ids)
    return {row["host_id"]: _host_of(row, Signs()) for row in rows}


async def write_hosts(connection: asyncpg.Connection, hosts: Iterable[Host]) -> None:
    """Write hosts, new or changed, without their signs of life."""
    rows = [
        (
            host.host_id,
            host.spec.name,
            json.dumps(dict(host.spec.labels)),
            host.spec.profile,
            host.spec.offline_after,
            host.create_time,
            host.update_time,
            host.retire_time,
        )
        for host in hosts
    ]
    await connection.execute(_WRITE, *zip(*rows, strict=True))


def _host_of(row: Mapping[str, Any], signs: Signs) -> Host:
    labels = row["labels"]  # JSON text or what it stands for: the driver's codec decides
    return Host(
        HostSpec(
            host_id=row["host_id"],
            name=row["name"],
            labels=json.loads(labels) if isinstance(labels, str) else labels,
            profile=Profile(row["profile"]),
            offline_after=row["offline_after"],
        ),
        create_time=row["create_time"],
        update_time=row["update_time"],
        retire_time=row["retire_time"],
        signs=signs,
    )
