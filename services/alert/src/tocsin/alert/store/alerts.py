"""The rows of `alerts`, as plain alerts. Writes here are for the ledger, under the key's lock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.alert import (
    Acknowledgement,
    Alert,
    Resolution,
    ResolveReason,
    Severity,
    Subject,
)
from tocsin.alert.domain.key import Key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

# Every column with its type. An alert keeps the fixed ones for life; none of the changing ones
# that a touch alters is in an index, so a touch stays a HOT update.
_FIXED = (
    ("alert_id", "uuid"),
    ("host_id", "text"),
    ("kind", "text"),
    ("dedup_key", "text"),
    ("labels", "jsonb"),
    ("raise_time", "timestamptz"),
    ("previous_alert_id", "uuid"),
    ("host_labels", "jsonb"),
    ("source_group_id", "text"),
    ("repository_id", "text"),
    ("schedule_id", "text"),
)
_CHANGING = (
    ("host_name", "text"),
    ("severity", "smallint"),
    ("status", "smallint"),
    ("message", "text"),
    ("cause", "text"),
    ("occurrences", "bigint"),
    ("last_seen_time", "timestamptz"),
    ("version", "bigint"),
    ("acknowledge_time", "timestamptz"),
    ("acknowledged_by", "text"),
    ("acknowledge_note", "text"),
    ("acknowledge_expire_time", "timestamptz"),
    ("resolve_time", "timestamptz"),
    ("resolved_by", "text"),
    ("resolve_reason", "smallint"),
    ("suppressed_by", "uuid"),
    ("objective_multiple", "smallint"),
)

# What a SELECT must name for `alert_of` to read its rows.
COLUMNS = ", ".join(name for name, _ in _FIXED + _CHANGING)


def _arrays(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"${place}::{type_}[]" for place, (_, type_) in enumerate(columns, start=1))


_READ = f"SELECT {COLUMNS} FROM alerts WHERE alert_id = ANY($1::uuid[])"  # noqa: S608 -- constants

_KEYS = "SELECT alert_id, host_id, kind, dedup_key FROM alerts WHERE alert_id = ANY($1::uuid[])"

_INSERT = f"""
INSERT INTO alerts ({COLUMNS})
SELECT * FROM unnest({_arrays(_FIXED + _CHANGING)})
"""  # noqa: S608 -- constants

_UPDATE = f"""
UPDATE alerts SET {", ".join(f"{name} = changed.{name}" for name, _ in _CHANGING)}
FROM unnest({_arrays((_FIXED[0], *_CHANGING))})
     AS changed (alert_id, {", ".join(name for name, _ in _CHANGING)})
WHERE alerts.alert_id = changed.alert_id
"""  # noqa: S608 -- constants

_LAPSED = """
SELECT alert_id FROM alerts
WHERE status = 2 AND acknowledge_expire_time <= $1
ORDER BY acknowledge_expire_time
LIMIT $2
"""


def alert_of(row: Mapping[str, Any]) -> Alert:
    """Read a row that has all of COLUMNS. Labels may be JSON text or what it stands for."""
    return Alert(
        alert_id=row["alert_id"],
        key=Key(row["host_id"], row["kind"], row["dedup_key"]),
        host_name=row["host_name"],
        severity=Severity(row["severity"]),
        message=row["message"],
        cause=row["cause"],
        occurrences=row["occurrences"],
        raise_time=row["raise_time"],
        last_seen_time=row["last_seen_time"],
        version=row["version"],
        labels=_labels_of(row["labels"]),
        acknowledgement=_acknowledgement_of(row),
        resolution=_resolution_of(row),
        previous_alert_id=row["previous_alert_id"],
        host_labels=_labels_of(row["host_labels"]),
        subject=Subject(row["source_group_id"], row["repository_id"], row["schedule_id"]),
        suppressed_by=row["suppressed_by"],
        objective_multiple=row["objective_multiple"],
    )


async def read_alerts(
    connection: asyncpg.Connection, alert_ids: Collection[UUID]
) -> dict[UUID, Alert]:
    """Return those of the alerts that exist."""
    rows = await connection.fetch(_READ, alert_ids)
    return {row["alert_id"]: alert_of(row) for row in rows}


async def keys_of(connection: asyncpg.Connection, alert_ids: Collection[UUID]) -> dict[UUID, Key]:
    """Return the keys of those of the alerts that exist. The key of an alert never changes."""
    rows = await connection.fetch(_KEYS, alert_ids)
    return {row[0]: Key(*row[1:]) for row in rows}


async def insert_alerts(connection: asyncpg.Connection, alerts: Iterable[Alert]) -> None:
    """Write alerts that are new."""
    rows = [_fixed_values(alert) + _changing_values(alert) for alert in alerts]
    await connection.execute(_INSERT, *zip(*rows, strict=True))


async def update_alerts(connection: asyncpg.Connection, alerts: Iterable[Alert]) -> None:
    """Write what may have changed of alerts that exist."""
    rows = [(alert.alert_id, *_changing_values(alert)) for alert in alerts]
    await connection.execute(_UPDATE, *zip(*rows, strict=True))


async def lapsed_acknowledgements(
    connection: asyncpg.Connection, now: datetime, limit: int
) -> list[UUID]:
    """Return alerts whose acknowledgement has expired, the longest expired first."""
    return [row[0] for row in await connection.fetch(_LAPSED, now, limit)]


def _labels_of(stored: Any) -> Mapping[str, str]:
    labels: Mapping[str, str] = json.loads(stored) if isinstance(stored, str) else stored
    return labels


def _acknowledgement_of(row: Mapping[str, Any]) -> Acknowledgement | None:
    if row["acknowledge_time"] is None:
        return None
    return Acknowledgement(
        row["acknowledge_time"],
        row["acknowledged_by"],
        row["acknowledge_note"],
        row["acknowledge_expire_time"],
    )


def _resolution_of(row: Mapping[str, Any]) -> Resolution | None:
    if row["resolve_time"] is None:
        return None
    return Resolution(row["resolve_time"], row["resolved_by"], ResolveReason(row["resolve_reason"]))


def _fixed_values(alert: Alert) -> tuple[Any, ...]:
    key = alert.key
    return (
        alert.alert_id,
        key.host_id,
        key.kind,
        key.dedup_key,
        json.dumps(dict(alert.labels)),
        alert.raise_time,
        alert.previous_alert_id,
        json.dumps(dict(alert.host_labels)),
        alert.subject.source_group_id,
        alert.subject.repository_id,
        alert.subject.schedule_id,
    )


def _changing_values(alert: Alert) -> tuple[Any, ...]:
    acknowledged = alert.acknowledgement
    resolved = alert.resolution
    return (
        alert.host_name,
        alert.severity,
        alert.status,
        alert.message,
        alert.cause,
        alert.occurrences,
        alert.last_seen_time,
        alert.version,
        *(
            (None, None, None, None)
            if acknowledged is None
            else (
                acknowledged.time,
                acknowledged.actor,
                acknowledged.note,
                acknowledged.expire_time,
            )
        ),
        *(
            (None, None, None)
            if resolved is None
            else (resolved.time, resolved.actor, resolved.reason)
        ),
        alert.suppressed_by,
        alert.objective_multiple,
    )
