"""The rows that the commands of a batch have left new or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.store.hosts import write_hosts
from tocsin.alert.store.jobs import write_jobs
from tocsin.alert.store.schedules import write_schedules
from tocsin.alert.store.signs import write_signs
from tocsin.alert.store.source_groups import write_source_groups
from tocsin.alert.store.streams import write_streams

if TYPE_CHECKING:
    import asyncpg

    from tocsin.alert.ledger.batch import Batch


async def write_rows(connection: asyncpg.Connection, batch: Batch) -> None:
    """Write what changed, in one statement a table.

    Raises RacedError when another transaction wrote the same job, source group or schedule for
    another host: the locks of two hosts do not keep them apart.
    """
    rows = batch.rows
    if batch.book.hosts.changed:
        await write_hosts(connection, batch.book.hosts.changed.values())
    if rows.signs.changed:
        await write_signs(connection, rows.signs.changed)
    if rows.groups.changed:
        await write_source_groups(connection, rows.groups.changed)
    if rows.schedules.changed:
        await write_schedules(connection, rows.schedules.changed)
    if rows.jobs.changed:
        await write_jobs(connection, rows.jobs.changed)
    if rows.streams.changed:
        await write_streams(connection, rows.streams.changed)
