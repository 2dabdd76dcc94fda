"""The law of the times to look: none is later than the deadline that it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.host import Profile
from tocsin.alert.domain.job import JobKind, Stream, StreamState
from tocsin.alert.domain.key import Key
from tocsin.alert.engine.danger import last_good, multiple_of, next_look
from tocsin.alert.engine.heartbeats import offline_at
from tocsin.alert.engine.stale_schedules import expect
from tocsin.alert.store.hosts import list_hosts
from tocsin.alert.store.roots import open_keys
from tocsin.alert.store.schedules import read_schedules
from tocsin.alert.store.signs import read_signs
from tocsin.alert.store.source_groups import read_source_groups
from tocsin.alert.store.streams import read_streams

if TYPE_CHECKING:
    from datetime import timedelta

    import asyncpg

    from tocsin.alert.domain.host import Host
    from tocsin.alert.store.source_groups import StoredSourceGroup
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database


async def check_looks(database: Database, clock: Clock) -> None:
    """Fail when a sweep would come too late, or never, for anything that is waited for."""
    async with database.connection() as connection:
        hosts = await list_hosts(connection, "", 10_000, include_retired=True)
        ids = [host.host_id for host in hosts]
        keys = await open_keys(connection, ids)
        groups = await read_source_groups(connection, [], ids)
        await _check_hosts(connection, hosts, list(groups.values()), keys)
        await _check_schedules(connection, ids, keys)
        await _check_groups(connection, list(groups.values()), keys, clock)


async def _check_hosts(
    connection: asyncpg.Connection,
    hosts: list[Host],
    groups: list[StoredSourceGroup],
    keys: set[Key],
) -> None:
    signs = await read_signs(connection, [host.host_id for host in hosts])
    for host in hosts:
        deadline = offline_at(host, _shortest(host, groups))
        look_time = signs[host.host_id].look_time
        if Key(host.host_id, "agent_offline", "") in keys:
            assert look_time is None, host
        elif deadline is not None:
            assert look_time is not None, host
            assert look_time <= deadline, host


def _shortest(host: Host, groups: list[StoredSourceGroup]) -> timedelta | None:
    if host.spec.profile is not Profile.LAPTOP:
        return None
    objectives = (
        each.group.spec.objective
        for each in groups
        if each.group.spec.host_id == host.host_id and each.group.retire_time is None
    )
    return min((each for each in objectives if each is not None), default=None)


async def _check_schedules(
    connection: asyncpg.Connection, host_ids: list[str], keys: set[Key]
) -> None:
    for schedule, look_time in (await read_schedules(connection, [], host_ids, [])).values():
        spec = schedule.spec
        stands = Key(spec.host_id, "stale_schedule", spec.schedule_id) in keys
        if schedule.retire_time is not None or not spec.enabled or stands:
            assert look_time is None, schedule
        else:
            expected = expect(spec, schedule.runs)
            assert (expected.due_time, expected.deadline_time) == (
                schedule.due_time,
                schedule.deadline_time,
            )
            assert look_time is not None, schedule
            assert look_time <= expected.deadline_time, schedule


async def _check_groups(
    connection: asyncpg.Connection,
    groups: list[StoredSourceGroup],
    keys: set[Key],
    clock: Clock,
) -> None:
    """A source group in danger is looked at; 60 s after the last report at the latest."""
    for group, look_time in groups:
        spec = group.spec
        stream = Stream(spec.host_id, JobKind.BACKUP, spec.source_group_id)
        state = (await read_streams(connection, [stream])).get(stream, StreamState())
        dedup_keys = {key.dedup_key for key in keys if key.host_id == spec.host_id}
        in_danger = spec.source_group_id in dedup_keys and group.retire_time is None
        good = last_good(state, group)
        behind = multiple_of(clock.now() - good, spec.objective) > 0
        if in_danger and spec.objective is not None and not behind:
            latest = next_look(good, spec.objective, clock.now(), reported=True)
            assert look_time is not None, group
            assert latest is not None
            assert look_time <= latest, group
