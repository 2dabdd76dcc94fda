"""Lists of alerts, in pages by keyset: each page costs the same, however far down it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.store.alerts import COLUMNS, alert_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.alert.domain.alert import Alert


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts are wanted: those with one of `statuses` that meet every other condition.

    An empty set of hosts or kinds is no condition.
    """

    statuses: frozenset[Status]
    host_ids: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    min_severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The alert that a page begins after, in the order of the list."""

    raise_time: datetime
    alert_id: UUID


async def list_alerts(
    connection: asyncpg.Connection, wanted: AlertFilter, after: Place | None, limit: int
) -> list[Alert]:
    """Return alerts, the latest raised first, at most `limit`."""
    conditions, values = _conditions(wanted, after)
    query = f"""
        SELECT {COLUMNS} FROM alerts WHERE {" AND ".join(conditions)}
        ORDER BY raise_time DESC, alert_id DESC LIMIT {limit:d}
    """  # noqa: S608 -- constants and a number
    return [alert_of(row) for row in await connection.fetch(query, *values)]


def _conditions(wanted: AlertFilter, after: Place | None) -> tuple[list[str], list[Any]]:
    values: list[Any] = []

    def given(value: Any) -> str:
        values.append(value)
        return f"${len(values)}"

    conditions = [f"status = ANY({given(sorted(wanted.statuses))}::smallint[])"]
    if Status.RESOLVED not in wanted.statuses:
        conditions.append("resolve_time IS NULL")  # the words of the partial index
    if wanted.host_ids:
        conditions.append(f"host_id = ANY({given(sorted(wanted.host_ids))}::text[])")
    if wanted.kinds:
        conditions.append(f"kind = ANY({given(sorted(wanted.kinds))}::text[])")
    if wanted.min_severity is not None and wanted.min_severity > Severity.INFO:
        conditions.append(f"severity >= {given(wanted.min_severity)}::smallint")
    if after is not None:
        raise_time, alert_id = given(after.raise_time), given(after.alert_id)
        conditions.append(f"(raise_time, alert_id) < ({raise_time}::timestamptz, {alert_id}::uuid)")
    return conditions, values
