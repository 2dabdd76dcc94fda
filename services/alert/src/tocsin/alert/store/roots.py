"""Alerts that explain others, and those that go with a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.key import Key
from tocsin.alert.store.alerts import COLUMNS, alert_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import asyncpg

    from tocsin.alert.domain.alert import Alert

# The causes are those of engine.dependencies. Written out, they are the words of the partial index.
UNREACHABLE = ("locked", "network", "no_repository")

# Of those that stand for themselves the earliest raised counts; some more, because it may be the
# one that is raised again, or be resolved in the same transaction.
_OF_REPOSITORIES = f"""
SELECT root.* FROM unnest($1::text[]) AS wanted (repository_id),
    LATERAL (
        SELECT {COLUMNS} FROM alerts
        WHERE alerts.repository_id = wanted.repository_id AND alerts.repository_id <> ''
          AND resolve_time IS NULL AND suppressed_by IS NULL AND cause IN {UNREACHABLE}
        ORDER BY raise_time, alert_id LIMIT 20
    ) AS root
"""  # noqa: S608 -- constants

_OPEN_KEYS = """
SELECT host_id, kind, dedup_key FROM alerts
WHERE host_id = ANY($1::text[]) AND resolve_time IS NULL
"""


async def repository_roots(
    connection: asyncpg.Connection, repository_ids: Collection[str]
) -> list[Alert]:
    """Return alerts that stand for themselves and tell that a repository is out of reach.

    The 20 earliest raised of each repository.
    """
    return [alert_of(row) for row in await connection.fetch(_OF_REPOSITORIES, repository_ids)]


async def open_keys(connection: asyncpg.Connection, host_ids: Collection[str]) -> set[Key]:
    """Return the keys of all alerts that stand for some hosts."""
    return {Key(*row) for row in await connection.fetch(_OPEN_KEYS, host_ids)}
