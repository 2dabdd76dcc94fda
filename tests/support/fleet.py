"""Many hosts with schedules, written at once and not one by one through the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

# Ids are padded, so that their order is that of their numbers: host-000001 has the source group
# group-000001 and the schedules schedule-000001-1, -2 and so on.
_HOSTS = """
INSERT INTO hosts (host_id, name, labels, create_time, update_time, profile, offline_after)
SELECT 'host-' || lpad(n::text, 6, '0'), '', '{}', $2::timestamptz, $2, 1, interval '30 days'
FROM generate_series(1, $1::integer) n
"""
_SIGNS = """
INSERT INTO host_signs (host_id, last_heard_time, first_heartbeat_time, look_time)
SELECT 'host-' || lpad(n::text, 6, '0'), $2::timestamptz, $2, $3::timestamptz
FROM generate_series(1, $1::integer) n
"""
_GROUPS = """
INSERT INTO source_groups (source_group_id, host_id, repository_id, name, objective,
                           create_time, update_time)
SELECT 'group-' || lpad(n::text, 6, '0'), 'host-' || lpad(n::text, 6, '0'), 'repository',
       '', interval '1 day', $2::timestamptz, $2
FROM generate_series(1, $1::integer) n
"""
_SCHEDULES = """
INSERT INTO schedules (schedule_id, host_id, job_kind, source_group_id, repository_id, run_interval,
                       time_zone, grace, max_duration, enabled, create_time, update_time,
                       anchor_time, due_time, deadline_time, look_time)
SELECT 'schedule-' || lpad(n::text, 6, '0') || '-' || m, 'host-' || lpad(n::text, 6, '0'), 1,
       'group-' || lpad(n::text, 6, '0'), 'repository', $3::timestamptz - $2::timestamptz,
       'UTC', interval '0', interval '1 day', true, $2, $2, $2, $3, $3, $3
FROM generate_series(1, $1::integer) n, generate_series(1, $4::integer) m
"""


async def insert_fleet(
    connection: asyncpg.Connection,
    hosts: int,
    *,
    schedules_each: int,
    create_time: datetime,
    deadline_time: datetime,
) -> None:
    """Write hosts with a source group and schedules each: an interval, due at `deadline_time`.

    The hosts were heard of when they were made, and are not called offline for 30 days.
    """
    await connection.execute(_HOSTS, hosts, create_time)
    await connection.execute(_SIGNS, hosts, create_time, deadline_time)
    await connection.execute(_GROUPS, hosts, create_time)
    await connection.execute(_SCHEDULES, hosts, create_time, deadline_time, schedules_each)
    for table in ("hosts", "host_signs", "source_groups", "schedules"):
        await connection.execute(f"VACUUM ANALYZE {table}")
