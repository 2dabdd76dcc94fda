"""What is known of how well source groups are protected, in pages."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tocsin.alert.domain.job import JobKind, Stream, StreamState
from tocsin.alert.store.alerts import COLUMNS, alert_of
from tocsin.alert.store.source_groups import list_source_groups
from tocsin.alert.store.streams import read_streams

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import asyncpg

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.source_group import SourceGroup

_HOST_NAMES = "SELECT host_id, name FROM hosts WHERE host_id = ANY($1::text[]) AND name <> ''"

_DUE_TIMES = """
SELECT source_group_id, min(due_time) FROM schedules
WHERE source_group_id = ANY($1::text[]) AND source_group_id <> '' AND host_id = ANY($2::text[])
GROUP BY source_group_id
"""

# By the index of the one open alert per key: a host has few that stand.
_OPEN_ALERTS = f"""
SELECT {COLUMNS} FROM alerts
WHERE host_id = ANY($2::text[]) AND resolve_time IS NULL
  AND (source_group_id = ANY($1::text[]) OR kind = 'agent_offline'
       OR (kind IN ('backup_failed', 'backup_incomplete') AND dedup_key = ANY($1::text[])))
ORDER BY raise_time, alert_id
"""  # noqa: S608 -- constants


class ProtectionFacts(NamedTuple):
    """What the protection of a source group is judged by. `state` is that of its backups."""

    group: SourceGroup
    host_name: str
    state: StreamState
    next_due_time: datetime | None
    open_alerts: list[Alert]


async def read_protections(
    connection: asyncpg.Connection, after: str, limit: int, *, host_id: str = ""
) -> list[ProtectionFacts]:
    """Return what is known of source groups that are watched, in the order of their ids.

    Those after one id ('' is before all), with a `host_id` only those of that host. Call it in a
    REPEATABLE READ transaction for one moment's truth.
    """
    groups = await list_source_groups(connection, after, limit, host_id=host_id)
    if not groups:
        return []
    ids = [group.spec.source_group_id for group in groups]
    host_ids = sorted({group.spec.host_id for group in groups})
    names = {row[0]: row[1] for row in await connection.fetch(_HOST_NAMES, host_ids)}
    states = await read_streams(connection, [_stream_of(group) for group in groups])
    dues = {row[0]: row[1] for row in await connection.fetch(_DUE_TIMES, ids, host_ids)}
    of_groups, of_hosts = await _open_alerts(connection, ids, host_ids)
    return [
        ProtectionFacts(
            group,
            names.get(group.spec.host_id, group.spec.host_id),
            states.get(_stream_of(group), StreamState()),
            dues.get(group.spec.source_group_id),
            of_groups[group.spec.host_id, group.spec.source_group_id]
            + of_hosts[group.spec.host_id],
        )
        for group in groups
    ]


async def _open_alerts(
    connection: asyncpg.Connection, group_ids: Collection[str], host_ids: Collection[str]
) -> tuple[defaultdict[tuple[str, str], list[Alert]], defaultdict[str, list[Alert]]]:
    """Return what stands for each source group, by host and id, and for each host's silence."""
    of_groups: defaultdict[tuple[str, str], list[Alert]] = defaultdict(list)
    of_hosts: defaultdict[str, list[Alert]] = defaultdict(list)
    for row in await connection.fetch(_OPEN_ALERTS, group_ids, host_ids):
        alert = alert_of(row)
        if alert.key.kind == "agent_offline":
            of_hosts[alert.key.host_id].append(alert)
        else:
            of = alert.subject.source_group_id or alert.key.dedup_key
            of_groups[alert.key.host_id, of].append(alert)
    return of_groups, of_hosts


def _stream_of(group: SourceGroup) -> Stream:
    return Stream(group.spec.host_id, JobKind.BACKUP, group.spec.source_group_id)
