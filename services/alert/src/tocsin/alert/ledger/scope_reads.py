"""What a batch concerns beyond what its commands say, looked up before anything is locked.

What is looked up cannot change, or is looked at again under the locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.ledger.backup_commands import Unsuppress
from tocsin.alert.ledger.commands import OBSERVATIONS, Acknowledge, Lapse, Resolve
from tocsin.alert.ledger.scope import Scope, named_groups, named_schedules, put_places
from tocsin.alert.store.alerts import keys_of
from tocsin.alert.store.races import RacedError
from tocsin.alert.store.roots import open_keys
from tocsin.alert.store.schedules import places_of_schedules
from tocsin.alert.store.source_groups import hosts_of_source_groups

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import asyncpg

    from tocsin.alert.domain.key import Key
    from tocsin.alert.ledger.commands import Command


async def read_scope(
    connection: asyncpg.Connection, commands: Sequence[Command]
) -> tuple[Scope, dict[UUID, Key]]:
    """Return what a batch concerns, and the keys of the alerts that its commands name."""
    scope = Scope()
    for command in commands:
        scope.add(command)
    commands = [command for command in commands if not isinstance(command, OBSERVATIONS)]
    if not commands:
        return scope, {}
    named = await _named_keys(connection, commands)
    for command in commands:
        if isinstance(command, Resolve) and command.alert_id in named:
            scope.add_resolved(named[command.alert_id])
    scope.keys.update(named.values())
    await _add_registered(connection, scope, commands)
    if scope.whole_hosts:
        scope.keys |= await open_keys(connection, scope.whole_hosts)
    return scope, named


async def _named_keys(
    connection: asyncpg.Connection, commands: Sequence[Command]
) -> dict[UUID, Key]:
    """Return the keys of the alerts that commands name, as far as the alerts exist."""
    named = {
        command.alert_id
        for command in commands
        if isinstance(command, Acknowledge | Resolve | Lapse | Unsuppress)
    }
    return await keys_of(connection, named) if named else {}


async def _add_registered(
    connection: asyncpg.Connection, scope: Scope, commands: Sequence[Command]
) -> None:
    """Add schedules and source groups that commands name without their host."""
    schedule_ids, group_ids = named_schedules(commands), named_groups(commands)
    if not schedule_ids and not group_ids:
        return
    places, hosts = put_places(commands)
    stored = await places_of_schedules(connection, schedule_ids, group_ids)
    places.update((place.schedule_id, place) for place in stored)
    hosts.update(await hosts_of_source_groups(connection, group_ids))
    for place in places.values():
        if place.schedule_id in schedule_ids or place.source_group_id in group_ids:
            scope.add_schedule(place)
    for group_id in group_ids & hosts.keys():
        scope.add_group(group_id, hosts[group_id])


async def check_retired(connection: asyncpg.Connection, scope: Scope) -> None:
    """Raise RacedError when an alert was raised for a retired host before it was locked."""
    if scope.whole_hosts and not await open_keys(connection, scope.whole_hosts) <= scope.keys:
        raise RacedError
