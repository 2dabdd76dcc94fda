"""The host registry. Writes here are for the ledger, under the lock of the host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.host import Host, HostSpec, Profile, Signs
from tocsin.alert.store.alerts import labels_of
from tocsin.alert.store.signs import COLUMNS as SIGNS
from tocsin.alert.store.signs import signs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import asyncpg

_COLUMNS = (
    "hosts.host_id, name, labels, profile, offline_after, create_time, update_time, retire_time"
)
_JOINED = f"SELECT {_COLUMNS}, {SIGNS} FROM hosts LEFT JOIN host_signs USING (host_id)"  # noqa: S608

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
    return None if row is None else host_of(row[0], row[1:], signs_of(row))


async def list_hosts(
    connection: asyncpg.Connection, after: str, limit: int, *, include_retired: bool = False
) -> list[Host]:
    """Return hosts in the order of their ids, those after one id ('' is before all)."""
    rows = await connection.fetch(_LIST, after, limit, include_retired)
    return [host_of(row[0], row[1:], signs_of(row)) for row in rows]


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


def host_of(host_id: str, columns: Sequence[Any], signs: Signs | None = None) -> Host:
    """Read the columns of a host behind its id. Without signs of life it is one not heard of."""
    name, labels, profile, offline_after, create_time, update_time, retire_time = columns[:7]
    return Host(
        HostSpec(
            host_id=host_id,
            name=name,
            labels=labels_of(labels),
            profile=Profile(profile),
            offline_after=offline_after,
        ),
        create_time=create_time,
        update_time=update_time,
        retire_time=retire_time,
        signs=signs or Signs(),
    )
