"""The signs of life of hosts, and when a sweep looks at them next.

Writes here are for the ledger, under the lock of the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.alert.domain.host import Signs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    import asyncpg

# What a SELECT must name for `signs_of` to read its rows.
COLUMNS = "last_heard_time, first_heartbeat_time, skew"

_READ = f"SELECT host_id, look_time, {COLUMNS} FROM host_signs WHERE host_id = ANY($1::text[])"  # noqa: S608

_WRITE = """
INSERT INTO host_signs (host_id, last_heard_time, first_heartbeat_time, skew, look_time)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::interval[],
                     $5::timestamptz[])
ON CONFLICT (host_id) DO UPDATE
SET last_heard_time = excluded.last_heard_time,
    first_heartbeat_time = excluded.first_heartbeat_time,
    skew = excluded.skew, look_time = excluded.look_time
"""


class StoredSigns(NamedTuple):
    """What is stored of a host's life. `look_time` is None when a sweep need not look."""

    signs: Signs = Signs()
    look_time: datetime | None = None


async def read_signs(
    connection: asyncpg.Connection, host_ids: Collection[str]
) -> dict[str, StoredSigns]:
    """Return what is stored of those hosts that were heard of or put."""
    rows = await connection.fetch(_READ, host_ids)
    return {row["host_id"]: StoredSigns(signs_of(row), row["look_time"]) for row in rows}


async def write_signs(connection: asyncpg.Connection, stored: Mapping[str, StoredSigns]) -> None:
    """Write signs of life, new or changed."""
    rows = [
        (
            host_id,
            each.signs.last_heard_time,
            each.signs.first_heartbeat_time,
            each.signs.skew,
            each.look_time,
        )
        for host_id, each in stored.items()
    ]
    await connection.execute(_WRITE, *zip(*rows, strict=True))


def signs_of(row: Mapping[str, Any]) -> Signs:
    """Read a row that has all of COLUMNS."""
    return Signs(row["last_heard_time"], row["first_heartbeat_time"], row["skew"])
