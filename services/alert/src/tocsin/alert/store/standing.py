"""How things stand, counted in the database: for the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tocsin.alert.store.floods import FLOODED
from tocsin.alert.store.looks import HOST_LOOKS, RISE_LOOKS, SCHEDULE_LOOKS

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from tocsin.alert.store.looks import Looks

# Counted by the index on open alerts, however many were resolved.
_OPEN = """
SELECT status, severity, count(*) FROM alerts WHERE resolve_time IS NULL GROUP BY 1, 2
"""


def _first_due(looks: Looks) -> str:
    time = looks.time_column
    return f"(SELECT min({time}) FROM {looks.table} WHERE {time} <= $1)"  # noqa: S608 -- constants


_FLOODED = f"SELECT count(*) FROM ({FLOODED}) AS flooded"  # noqa: S608 -- a constant

DEADLINES: Final = {"hosts": HOST_LOOKS, "schedules": SCHEDULE_LOOKS, "dangers": RISE_LOOKS}
"""What the sweeps look at, by the names of their loops."""

_DUE = f"SELECT {', '.join(map(_first_due, DEADLINES.values()))}"


@dataclass(frozen=True, slots=True)
class Standing:
    """`open_alerts` counts by status and severity; `first_due` is None where nothing is due.

    `flooded_hosts` counts those for which an alert_flood stands.
    """

    open_alerts: dict[tuple[int, int], int]
    first_due: dict[str, datetime | None]
    flooded_hosts: int


async def read_standing(connection: asyncpg.Connection, now: datetime) -> Standing:
    """Count what is open and flooded, and find the deadlines that passed first."""
    counted = {(row[0], row[1]): row[2] for row in await connection.fetch(_OPEN)}
    due = await connection.fetchrow(_DUE, now)
    flooded = await connection.fetchval(_FLOODED)
    return Standing(counted, dict(zip(DEADLINES, due, strict=True)), flooded)
