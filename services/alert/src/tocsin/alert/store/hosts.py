"""The host registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.host import Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import asyncpg

_PUT = """
INSERT INTO hosts (host_id, name, labels, create_time, update_time)
VALUES ($1, $2, $3::jsonb, $4, $4)
ON CONFLICT (host_id) DO UPDATE SET name = excluded.name, labels = excluded.labels,
    update_time = excluded.update_time
WHERE (hosts.name, hosts.labels) IS DISTINCT FROM (excluded.name, excluded.labels)
"""
_COLUMNS = "host_id, name, labels, create_time, update_time"
_GET = f"SELECT {_COLUMNS} FROM hosts WHERE host_id = $1"  # noqa: S608 -- constants
_LIST = f"SELECT {_COLUMNS} FROM hosts WHERE host_id > $1 ORDER BY host_id LIMIT $2"  # noqa: S608


async def put_host(
    connection: asyncpg.Connection,
    host_id: str,
    name: str,
    labels: Mapping[str, str],
    now: datetime,
) -> Host:
    """Write a host whole, and return it. Putting what is there already changes nothing.

    Call it in a transaction: the row stays locked, also when nothing changes.
    """
    await connection.execute(_PUT, host_id, name, json.dumps(dict(labels)), now)
    return _host_of(await connection.fetchrow(_GET, host_id))


async def get_host(connection: asyncpg.Connection, host_id: str) -> Host | None:
    row = await connection.fetchrow(_GET, host_id)
    return None if row is None else _host_of(row)


async def list_hosts(connection: asyncpg.Connection, after: str, limit: int) -> list[Host]:
    """Return hosts in the order of their ids, those after one id ('' is before all)."""
    return [_host_of(row) for row in await connection.fetch(_LIST, after, limit)]


def _host_of(row: Mapping[str, Any]) -> Host:
    labels = row["labels"]  # JSON text or what it stands for: the driver's codec decides
    return Host(
        host_id=row["host_id"],
        name=row["name"],
        labels=json.loads(labels) if isinstance(labels, str) else labels,
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
