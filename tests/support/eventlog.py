"""Entries for tests of the event log, and a process's part of it: tail, broadcast, watch."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from support.waiting import eventually
from tocsin.alert.eventlog import log
from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.eventlog.frames import framing
from tocsin.alert.eventlog.log import Entry, NewEntry, Record
from tocsin.alert.eventlog.tail import Tail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tocsin.common.postgres.engine import Database

EPOCH = UUID("00000000-0000-7000-8000-00000000e70c")
OTHER_EPOCH = UUID("00000000-0000-7000-8000-00000000beef")
ALERT = UUID("00000000-0000-7000-8000-00000000a1e7")
RECORDED = datetime(2026, 1, 1, tzinfo=UTC)


def new_entry(
    alert_id: UUID = ALERT,
    *,
    host_id: str = "host-1",
    kind: str = "backup_failed",
    severity: int = 2,
    type: int = 1,  # noqa: A002 -- the column's name
    record_time: datetime = RECORDED,
    payload: bytes = b"",
) -> NewEntry:
    return NewEntry(alert_id, host_id, kind, severity, type, record_time, payload)


def entry(revision: int, *, host_id: str = "host-1", frame: bytes = b"x" * 10) -> Entry:
    return Entry(revision, host_id, "backup_failed", 2, 1, frame)


def entries(first: int, last: int) -> tuple[Entry, ...]:
    return tuple(entry(revision) for revision in range(first, last + 1))


def events(first: int, last: int) -> tuple[Entry, ...]:
    """Return entries that have the frames of real, empty events."""
    frame = framing(EPOCH)
    return tuple(entry(revision, frame=frame(revision, b"")) for revision in range(first, last + 1))


def revisions(of: Sequence[Entry] | Sequence[Record]) -> list[int]:
    return [each.revision for each in of]


async def write(database: Database, count: int = 1, **fields: Any) -> range:
    """Append entries, like `new_entry` makes them, in one transaction: their revisions."""
    async with database.transaction() as connection:
        appended = await log.append(connection, [new_entry(**fields) for _ in range(count)])
    return appended.revisions


@dataclass(frozen=True, slots=True)
class Follower:
    """One process that follows the log."""

    tail: Tail
    broadcast: Broadcast


@asynccontextmanager
async def following(
    database: Database,
    *,
    poll: timedelta = timedelta(milliseconds=50),
    max_entries: int = 10_000,
) -> AsyncIterator[Follower]:
    """Follow the log from its present end, with a poll that tests need not wait for."""
    broadcast = Broadcast(max_entries=max_entries)
    tail = Tail(database, broadcast, poll=poll)
    await tail.start()
    try:
        await eventually(lambda: tail.running)
        yield Follower(tail, broadcast)
    finally:
        await tail.stop()
