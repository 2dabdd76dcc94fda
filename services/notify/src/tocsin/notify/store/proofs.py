"""Routes whose channels are told how all backups stand: when the next time is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.store.routes import read_all

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from tocsin.notify.domain.route import Route

_DUE = "SELECT route_id, next_proof_time FROM routes WHERE next_proof_time <= $1"

_TAKE = """
UPDATE routes SET next_proof_time = $3 WHERE route_id = $1 AND next_proof_time = $2
RETURNING true
"""


@dataclass(frozen=True, slots=True)
class DueProof:
    """A route and when its channels were to be told."""

    route: Route
    time: datetime


async def read_due(connection: asyncpg.Connection, now: datetime) -> list[DueProof]:
    """Return the routes whose time has come, without a lock."""
    due = {row["route_id"]: row["next_proof_time"] for row in await connection.fetch(_DUE, now)}
    if not due:
        return []
    known = await read_all(connection)
    return [DueProof(each, due[each.route_id]) for each in known if each.route_id in due]


async def take(connection: asyncpg.Connection, due: DueProof, next_time: datetime | None) -> bool:
    """Set when the next proof is due; return False when another process was quicker.

    The lock on the route comes before those on its channels, as everywhere.
    """
    taken = await connection.fetchval(_TAKE, due.route.route_id, due.time, next_time)
    return bool(taken)
