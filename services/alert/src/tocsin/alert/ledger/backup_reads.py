"""The rows that the commands of a batch concern, read under the locks of their hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.host import Profile
from tocsin.alert.domain.job import JobKind
from tocsin.alert.engine.stale_schedules import stale_key
from tocsin.alert.ledger.backup_commands import PutHost
from tocsin.alert.ledger.batch import Rows, backups_of
from tocsin.alert.ledger.other_reporters import read_other_reporters
from tocsin.alert.ledger.scope_reads import check_retired
from tocsin.alert.ledger.table import Table
from tocsin.alert.ledger.watches import line_of_schedule
from tocsin.alert.store.jobs import last_finishes, read_jobs, unfinished_jobs
from tocsin.alert.store.races import RacedError
from tocsin.alert.store.roots import repository_roots
from tocsin.alert.store.schedules import read_schedules
from tocsin.alert.store.signs import read_signs
from tocsin.alert.store.source_groups import read_source_groups
from tocsin.alert.store.streams import read_streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import asyncpg

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.host import Host
    from tocsin.alert.ledger.commands import Command
    from tocsin.alert.ledger.scope import Scope
    from tocsin.alert.store.jobs import RunLine
    from tocsin.alert.store.schedules import StoredSchedule
    from tocsin.alert.store.source_groups import StoredSourceGroup


async def read_rows(
    connection: asyncpg.Connection,
    scope: Scope,
    commands: Sequence[Command],
    hosts: Mapping[str, Host],
) -> tuple[Rows, list[Alert]]:
    """Return the rows of a batch, and the alerts that may explain what is raised.

    Raises RacedError when the locks do not cover what has come to be meanwhile.
    """
    rows = Rows()
    if not scope.has_backups:
        return rows, []
    await check_retired(connection, scope)
    rows.signs = Table(await read_signs(connection, scope.hosts))
    schedules = await _schedules(connection, scope)
    groups = await _groups(connection, scope, schedules, _laptops(scope, commands, hosts))
    rows.schedules, rows.groups = Table(schedules), Table(groups)
    await read_other_reporters(connection, commands, rows)
    streams = scope.streams | {
        backups_of(groups[group_id].group) for group_id in scope.groups & groups.keys()
    }
    rows.streams = Table(await read_streams(connection, streams) if streams else {})
    rows.jobs = Table(await read_jobs(connection, scope.jobs) if scope.jobs else {})
    if scope.new_lines:
        rows.last_finishes = await last_finishes(connection, scope.new_lines)
    ends = _known_ends(scope, rows)
    if ends:
        rows.unfinished = await unfinished_jobs(connection, ends)
    return rows, await _roots(connection, scope, rows)


async def _schedules(connection: asyncpg.Connection, scope: Scope) -> dict[str, StoredSchedule]:
    if not (scope.schedules or scope.whole_hosts or scope.whole_groups):
        return {}
    found = await read_schedules(connection, scope.schedules, scope.whole_hosts, scope.whole_groups)
    for stored in found.values():
        spec = stored.schedule.spec
        is_needed = spec.source_group_id in scope.whole_groups and spec.host_id in scope.hosts
        if is_needed and stale_key(spec) not in scope.keys:
            raise RacedError
    return found


async def _groups(
    connection: asyncpg.Connection,
    scope: Scope,
    schedules: Mapping[str, StoredSchedule],
    laptops: set[str],
) -> dict[str, StoredSourceGroup]:
    """Read the source groups of a batch, those of its schedules too."""
    of_backups = (
        stored.schedule.spec.source_group_id
        for stored in schedules.values()
        if stored.schedule.spec.job_kind is JobKind.BACKUP
    )
    scope.groups.update(filter(None, of_backups))
    whole = scope.whole_hosts | laptops
    if not (scope.groups or whole):
        return {}
    return await read_source_groups(connection, scope.groups, whole)


def _laptops(scope: Scope, commands: Iterable[Command], hosts: Mapping[str, Host]) -> set[str]:
    """Return the hosts whose silence is judged by their source groups, now or by a put."""
    put = {
        command.spec.host_id
        for command in commands
        if isinstance(command, PutHost) and command.spec.profile is Profile.LAPTOP
    }
    return put | {
        host_id
        for host_id in scope.hosts & hosts.keys()
        if hosts[host_id].spec.profile is Profile.LAPTOP
    }


def _known_ends(scope: Scope, rows: Rows) -> dict[RunLine, datetime | None]:
    """Return, for each line, the latest end of a run that is known."""
    ends = {line: rows.last_finishes.get(line) for line in scope.lines}
    for stored in rows.schedules.rows():
        line = line_of_schedule(stored.schedule.spec)
        if line in ends or line.schedule_id in scope.anew:
            ends[line] = stored.schedule.runs.last_finish_time or ends.get(line)
    return ends


async def _roots(connection: asyncpg.Connection, scope: Scope, rows: Rows) -> list[Alert]:
    """Read what may explain a failure of any repository of the batch, and take note of it."""
    repositories = scope.repositories | {
        stored.group.spec.repository_id for stored in rows.groups.rows()
    }
    repositories |= {stored.schedule.spec.repository_id for stored in rows.schedules.rows()}
    repositories.discard("")
    if not repositories:
        return []
    alerts = await repository_roots(connection, repositories)
    for alert in alerts:
        rows.roots.setdefault(alert.subject.repository_id, set()).add(alert.alert_id)
    return alerts
