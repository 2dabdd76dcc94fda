"""One batch, one transaction: lock the keys, read, decide, write, append the events last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.engine.floods import flood_key
from tocsin.alert.engine.transitions import KeyState
from tocsin.alert.eventlog import log
from tocsin.alert.ledger.acts import acts_of
from tocsin.alert.ledger.alert_book import AlertBook
from tocsin.alert.ledger.alert_writes import changes_of
from tocsin.alert.ledger.backup_commands import Unsuppress
from tocsin.alert.ledger.backup_reads import read_rows
from tocsin.alert.ledger.backup_writes import write_rows
from tocsin.alert.ledger.batch import Batch
from tocsin.alert.ledger.commands import request_of
from tocsin.alert.ledger.fold import Fold
from tocsin.alert.ledger.remembered import Remembered
from tocsin.alert.ledger.scope_reads import read_scope
from tocsin.alert.ledger.table import Table
from tocsin.alert.store.alerts import read_alerts
from tocsin.alert.store.changes import call_to_write
from tocsin.alert.store.keys import Locked, lock_keys
from tocsin.alert.store.requests import REMEMBERED_FOR
from tocsin.common.errors import TocsinError
from tocsin.common.identity.audit import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Event
    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.key import Key
    from tocsin.alert.ledger.commands import Command, Result
    from tocsin.alert.ledger.floods import Floods
    from tocsin.alert.store.requests import StoredAnswer
    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId


@dataclass(frozen=True, slots=True)
class Parts:
    """What a transaction is made with: time, identities, the wire form of events, and what is
    known of hosts with very many open alerts.
    """

    clock: Clock
    new_id: NewId
    encode_event: Callable[[Event], bytes]
    floods: Floods


@dataclass(frozen=True, slots=True)
class Written:
    """The results in the order of the commands, what was decided, and what came into the log."""

    results: list[Result]
    book: AlertBook
    appended: log.Appended


async def write_batch(
    connection: asyncpg.Connection, commands: Sequence[Command], parts: Parts
) -> Written:
    """Apply commands in their order within the connection's open transaction.

    The number of statements does not depend on the number of commands. A refused command is a
    result, and writes nothing; any other error means that the transaction must be rolled back.
    """
    fold = await _read(connection, commands, parts)
    results = [applied(fold, command) for command in commands]
    entries = entries_of(fold.book, parts)
    await write_rows(connection, fold.batch)
    await record(connection, acts_of(commands, results), fold.book.now, parts.new_id)
    call = call_to_write(changes_of(fold), fold.book.now)
    if call is not None and not entries:
        await connection.execute(f"SELECT {call.sql}", *call.arguments)
        call = None
    return Written(results, fold.book, await log.append(connection, entries, call))


def applied(fold: Fold, command: Command) -> Result:
    """Decide on a command: its answer, or why it is refused."""
    try:
        return fold.apply(command)
    except TocsinError as refusal:
        return refusal


async def _read(connection: asyncpg.Connection, commands: Sequence[Command], parts: Parts) -> Fold:
    """Lock every key that the commands concern, then read.

    The time is taken under the locks: what is recorded of one key later has a later time.
    """
    scope, named = await read_scope(connection, commands)
    rooms = parts.floods.rooms_of(scope.keys)
    scope.keys.update(map(flood_key, rooms))
    requests = request_ids_of(commands)
    if not (scope.keys or requests):
        locked = Locked({}, {}, {})
    else:
        since = parts.clock.now() - REMEMBERED_FOR
        locked = await lock_keys(connection, sorted(scope.keys), requests, since)
    now = parts.clock.now()
    states = {key: KeyState(*stored) for key, stored in locked.keys.items()}
    book = book_of(parts, now, states, locked.hosts, rooms)
    await _add_named(connection, book.alerts, named, commands)
    rows, roots = await read_rows(connection, scope, commands, locked.hosts)
    for root in roots:
        book.alerts.setdefault(root.alert_id, root)
    return Fold(Batch(book, rows), _remembered(locked.answers))


def book_of(
    parts: Parts,
    now: datetime,
    states: dict[Key, KeyState],
    hosts: Mapping[str, Host],
    rooms: dict[str, int],
) -> AlertBook:
    """Return what commands on these keys alone are decided by."""
    return AlertBook(
        now,
        parts.new_id,
        states,
        alerts={state.alert.alert_id: state.alert for state in states.values() if state.alert},
        hosts=Table(hosts),
        rooms=rooms,
        open_limit=parts.floods.limit,
    )


async def _add_named(
    connection: asyncpg.Connection,
    alerts: dict[UUID, Alert],
    named: Mapping[UUID, Key],
    commands: Iterable[Command],
) -> None:
    """Add the alerts that commands name, and those that explain the ones that may come out."""
    if not named:
        return
    if missing := named.keys() - alerts.keys():
        alerts.update(await read_alerts(connection, missing))
    explained = [
        alerts[command.alert_id]
        for command in commands
        if isinstance(command, Unsuppress) and command.alert_id in alerts
    ]
    roots = {alert.suppressed_by for alert in explained if alert.suppressed_by is not None}
    if roots := roots - alerts.keys():
        alerts.update(await read_alerts(connection, roots))


def request_ids_of(commands: Iterable[Command]) -> set[str]:
    """Return the names that commands have for their retries."""
    requests = map(request_of, commands)
    return {request.request_id for request in requests if request is not None}


def _remembered(answers: Mapping[str, StoredAnswer]) -> dict[str, Remembered]:
    return {
        request_id: Remembered.from_document(stored.fingerprint, stored.document)
        for request_id, stored in answers.items()
    }


def entries_of(book: AlertBook, parts: Parts) -> list[log.NewEntry]:
    """Return the events of a batch as the log takes them."""
    return [_entry(event, parts.encode_event) for event in book.events]


def _entry(event: Event, encode_event: Callable[[Event], bytes]) -> log.NewEntry:
    alert = event.alert
    return log.NewEntry(
        alert.alert_id,
        alert.key.host_id,
        alert.key.kind,
        alert.severity,
        event.type,
        event.record_time,
        encode_event(event),
    )
