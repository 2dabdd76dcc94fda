"""The rows of `alert_keys`: the locks that make decisions about one key serial."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.alert.domain.key import Key

# Both statements take their keys in the order given. A transaction that waits in the first holds
# nothing but keys of its own making that sort lower, and one that waits in the second nothing
# but keys that sort lower: no two wait for each other.
_CREATE_MISSING = """
INSERT INTO alert_keys (host_id, kind, dedup_key)
SELECT host_id, kind, dedup_key
FROM unnest($1::text[], $2::text[], $3::text[])
     WITH ORDINALITY AS wanted (host_id, kind, dedup_key, place)
ORDER BY place
ON CONFLICT DO NOTHING
"""

_LOCK = """
SELECT wanted.place, stored.cleared_time, stored.last_alert_id
FROM unnest($1::text[], $2::text[], $3::text[])
     WITH ORDINALITY AS wanted (host_id, kind, dedup_key, place)
JOIN alert_keys AS stored USING (host_id, kind, dedup_key)
ORDER BY wanted.place
FOR UPDATE OF stored
"""

_UPDATE = """
UPDATE alert_keys AS stored
SET cleared_time = changed.cleared_time, last_alert_id = changed.last_alert_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[])
     AS changed (host_id, kind, dedup_key, cleared_time, last_alert_id)
WHERE (stored.host_id, stored.kind, stored.dedup_key)
    = (changed.host_id, changed.kind, changed.dedup_key)
"""


class StoredKey(NamedTuple):
    """What is stored of a key beside itself."""

    cleared_time: datetime | None
    last_alert_id: UUID | None


async def lock_keys(connection: asyncpg.Connection, ordered: Sequence[Key]) -> dict[Key, StoredKey]:
    """Lock each key until the transaction ends, creating those that are missing.

    `ordered` must be sorted and without repeats. What is returned is the latest committed state.
    Rows of other tables that were committed under these locks are visible only to a later
    statement: a statement sees what was committed before it began, and this one may have waited.
    """
    columns = _columns(ordered)
    await connection.execute(_CREATE_MISSING, *columns)
    rows = await connection.fetch(_LOCK, *columns)
    return {key: StoredKey(row[1], row[2]) for key, row in zip(ordered, rows, strict=True)}


async def update_keys(connection: asyncpg.Connection, changed: Mapping[Key, StoredKey]) -> None:
    """Write the state of keys that the transaction has locked."""
    await connection.execute(
        _UPDATE,
        *_columns(list(changed)),
        [stored.cleared_time for stored in changed.values()],
        [stored.last_alert_id for stored in changed.values()],
    )


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[str], list[str]]:
    return (
        [key.host_id for key in keys],
        [key.kind for key in keys],
        [key.dedup_key for key in keys],
    )
