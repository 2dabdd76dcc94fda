"""Puts of callers that are bound to hosts, of ids under which another host reports.

Such a put would take the id: the reports of the other host would be refused from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.ledger.backup_commands import PutSchedule, PutSourceGroup
from tocsin.alert.store.other_reporters import groups_of_others, schedules_of_others
from tocsin.common.errors import PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import asyncpg

    from tocsin.alert.domain.observation import Caller
    from tocsin.alert.ledger.batch import Batch, Rows
    from tocsin.alert.ledger.commands import Command


async def read_other_reporters(
    connection: asyncpg.Connection, commands: Iterable[Command], rows: Rows
) -> None:
    """Take note of what bound callers put the first time and another host reports under."""
    groups, schedules = set[tuple[str, str]](), set[tuple[str, str]]()
    for command in commands:
        match command:
            case PutSourceGroup(spec, caller) if caller.is_bound:
                if rows.groups.get(spec.source_group_id) is None:
                    groups.add((spec.source_group_id, spec.host_id))
            case PutSchedule(spec, caller) if caller.is_bound:
                if rows.schedules.get(spec.schedule_id) is None:
                    schedules.add((spec.schedule_id, spec.host_id))
            case _:
                pass
    if groups:
        rows.groups_of_others = await groups_of_others(connection, groups)
    if schedules:
        rows.schedules_of_others = await schedules_of_others(connection, schedules)


def check_group_is_free(batch: Batch, command: PutSourceGroup) -> None:
    """Raise PermissionDeniedError (HOST_NOT_ALLOWED) if a bound caller would take a source group.

    One that was put already is its host's own, or was refused before.
    """
    spec, caller = command.spec, command.caller
    if not caller.is_bound or batch.rows.groups.get(spec.source_group_id) is not None:
        return
    if (spec.source_group_id, spec.host_id) in batch.rows.groups_of_others:
        raise _taken("source group", "source_group_id", spec.source_group_id, caller)


def check_schedule_is_free(batch: Batch, command: PutSchedule) -> None:
    """Raise PermissionDeniedError (HOST_NOT_ALLOWED) if a bound caller would take a schedule."""
    spec, caller = command.spec, command.caller
    if not caller.is_bound or batch.rows.schedules.get(spec.schedule_id) is not None:
        return
    if (spec.schedule_id, spec.host_id) in batch.rows.schedules_of_others:
        raise _taken("schedule", "schedule_id", spec.schedule_id, caller)


def _taken(thing: str, field: str, thing_id: str, caller: Caller) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"Another host reports under the {thing} {thing_id!r}, and {caller.actor!r} is bound to "
        "hosts. Put one with another id, or let an operator put this one.",
        reason="HOST_NOT_ALLOWED",
        metadata={field: thing_id, "actor": caller.actor},
    )
