"""The rows of `alerts`, as plain alerts. Writes here are for the ledger, under the key's lock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.alert import (
    NO_LABELS,
    NOTHING_NAMED,
    Acknowledgement,
    Alert,
    Resolution,
    ResolveReason,
    Severity,
    Subject,
)
from tocsin.alert.domain.key import Key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    import asyncpg

# What a SELECT must name for `alert_of` to read its rows. An alert keeps the first eleven for life.
COLUMNS = """
    alert_id, host_id, kind, dedup_key, labels, raise_time, previous_alert_id, host_labels,
    source_group_id, repository_id, schedule_id,
    host_name, severity, status, message, cause, occurrences, last_seen_time, version,
    acknowledge_time, acknowledged_by, acknowledge_note, acknowledge_expire_time,
    resolve_time, resolved_by, resolve_reason, suppressed_by, objective_multiple
"""

_READ = f"SELECT {COLUMNS} FROM alerts WHERE alert_id = ANY($1::uuid[])"  # noqa: S608 -- constants

_KEYS = "SELECT alert_id, host_id, kind, dedup_key FROM alerts WHERE alert_id = ANY($1::uuid[])"

# Looked up, an enumeration takes a fifth of the time that its call does.
SEVERITIES = {severity.value: severity for severity in Severity}
_decode = json.JSONDecoder().raw_decode  # PostgreSQL writes no blanks around it
_quoted = json.encoder.encode_basestring_ascii  # a fifth of what json.dumps takes for a few labels

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
        severity=SEVERITIES[row["severity"]],
        message=row["message"],
        cause=row["cause"],
        occurrences=row["occurrences"],
        raise_time=row["raise_time"],
        last_seen_time=row["last_seen_time"],
        version=row["version"],
        labels=labels_of(row["labels"]),
        acknowledgement=_acknowledgement_of(row),
        resolution=_resolution_of(row),
        previous_alert_id=row["previous_alert_id"],
        host_labels=labels_of(row["host_labels"]),
        subject=_subject_of(row),
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


async def lapsed_acknowledgements(
    connection: asyncpg.Connection, now: datetime, limit: int
) -> list[UUID]:
    """Return alerts whose acknowledgement has expired, the longest expired first."""
    return [row[0] for row in await connection.fetch(_LAPSED, now, limit)]


def labels_of(stored: Any) -> Mapping[str, str]:
    """Read labels: JSON text, or what the driver has made of it."""
    if stored == "{}":
        return NO_LABELS
    labels: Mapping[str, str] = _decode(stored)[0] if isinstance(stored, str) else stored
    return labels


def labels_to_text(labels: Mapping[str, str]) -> str:
    """Write labels as `labels_of` reads them."""
    if not labels:
        return "{}"
    pairs = [f"{_quoted(name)}:{_quoted(value)}" for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}"


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


def _subject_of(row: Mapping[str, Any]) -> Subject:
    named = row["source_group_id"], row["repository_id"], row["schedule_id"]
    return Subject(*named) if any(named) else NOTHING_NAMED
