"""One batch, one transaction: lock the keys, read, decide, write, append the events last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.engine.transitions import KeyState
from tocsin.alert.eventlog import log
from tocsin.alert.ledger.alert_book import AlertBook
from tocsin.alert.ledger.backup_commands import Unsuppress
from tocsin.alert.ledger.backup_reads import read_rows
from tocsin.alert.ledger.backup_writes import write_rows
from tocsin.alert.ledger.batch import Batch
from tocsin.alert.ledger.commands import request_of
from tocsin.alert.ledger.fold import Fold
from tocsin.alert.ledger.remembered import Remembered
from tocsin.alert.ledger.scope_reads import read_scope
from tocsin.alert.ledger.table import Table
from tocsin.alert.store.alerts import insert_alerts, read_alerts, update_alerts
from tocsin.alert.store.hosts import read_hosts
from tocsin.alert.store.keys import StoredKey, lock_keys, update_keys
from tocsin.alert.store.requests import StoredAnswer, read_requests, remember_requests
from tocsin.common.errors import TocsinError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Event
    from tocsin.alert.domain.key import Key
    from tocsin.alert.ledger.commands import Command, Result
    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId


@dataclass(frozen=True, slots=True)
class Parts:
    """What a transaction is made with: time, identities and the wire form of events."""

    clock: Clock
    new_id: NewId
    encode_event: Callable[[Event], bytes]


@dataclass(frozen=True, slots=True)
class Written:
    """The results in the order of the commands, and whether events were appended."""

    results: list[Result]
    has_events: bool


async def write_batch(
    connection: asyncpg.Connection, commands: Sequence[Command], parts: Parts
) -> Written:
    """Apply commands in their order within the connection's open transaction.

    The number of statements does not depend on the number of commands. A refused command is a
    result, and writes nothing; any other error means that the transaction must be rolled back.
    """
    fold = await _read(connection, commands, parts)
    results = [_applied(fold, command) for command in commands]
    entries = [_entry(event, parts.encode_event) for event in fold.book.events]
    await write_rows(connection, fold.batch)
    await _write_alerts(connection, fold.book)
    await _remember(connection, fold)
    await log.append(connection, entries)
    return Written(results, has_events=bool(entries))


def _applied(fold: Fold, command: Command) -> Result:
    try:
        return fold.apply(command)
    except TocsinError as refusal:
        return refusal


async def _read(connection: asyncpg.Connection, commands: Sequence[Command], parts: Parts) -> Fold:
    """Lock every key that the commands concern, then read in statements of their own.

    The time is taken under the locks: what is recorded of one key later has a later time.
    """
    scope, named = await read_scope(connection, commands)
    stored = await lock_keys(connection, sorted(scope.keys)) if scope.keys else {}
    now = parts.clock.now()
    latest = {key.last_alert_id for key in stored.values() if key.last_alert_id is not None}
    alerts = await _read_alerts(connection, latest.union(named), commands)
    hosts = await read_hosts(connection, {key.host_id for key in scope.keys})
    rows, roots = await read_rows(connection, scope, commands, hosts)
    states = {key: _state(row, alerts) for key, row in stored.items()}
    for root in roots:
        alerts.setdefault(root.alert_id, root)
    book = AlertBook(now, parts.new_id, states, alerts, Table(hosts))
    return Fold(Batch(book, rows), await _read_remembered(connection, commands, now))


def _state(stored: StoredKey, alerts: Mapping[UUID, Alert]) -> KeyState:
    last = stored.last_alert_id
    return KeyState(stored.cleared_time, None if last is None else alerts[last])


async def _read_alerts(
    connection: asyncpg.Connection, wanted: set[UUID], commands: Iterable[Command]
) -> dict[UUID, Alert]:
    """Read alerts, and those that explain the ones that may come out."""
    alerts = await read_alerts(connection, wanted) if wanted else {}
    explained = [
        alerts[command.alert_id]
        for command in commands
        if isinstance(command, Unsuppress) and command.alert_id in alerts
    ]
    roots = {alert.suppressed_by for alert in explained if alert.suppressed_by is not None}
    roots -= alerts.keys()
    return {**alerts, **await read_alerts(connection, roots)} if roots else alerts


async def _read_remembered(
    connection: asyncpg.Connection, commands: Sequence[Command], now: datetime
) -> dict[str, Remembered]:
    requests = map(request_of, commands)
    ids = {request.request_id for request in requests if request is not None}
    if not ids:
        return {}
    return {
        request_id: Remembered.from_document(stored.fingerprint, stored.document)
        for request_id, stored in (await read_requests(connection, ids, now)).items()
    }


async def _write_alerts(connection: asyncpg.Connection, book: AlertBook) -> None:
    """Write what changed. What was resolved goes first: its key may have a new alert."""
    known, after = book.alerts, book.changed_alerts
    changed = [alert for alert_id, alert in after.items() if alert_id in known]
    new = [alert for alert_id, alert in after.items() if alert_id not in known]
    if changed:
        await update_alerts(connection, changed)
    if new:
        await insert_alerts(connection, new)
    keys = {key: stored for key in book.changed_states if (stored := _changed_key(book, key))}
    if keys:
        await update_keys(connection, keys)


async def _remember(connection: asyncpg.Connection, fold: Fold) -> None:
    if not fold.remembered:
        return
    answers = {
        request_id: StoredAnswer(remembered.fingerprint, remembered.to_document())
        for request_id, remembered in fold.remembered.items()
    }
    await remember_requests(connection, answers, fold.book.now)


def _changed_key(book: AlertBook, key: Key) -> StoredKey | None:
    before, after = _stored(book.states[key]), _stored(book.changed_states[key])
    return None if before == after else after


def _stored(state: KeyState) -> StoredKey:
    return StoredKey(state.cleared_time, None if state.alert is None else state.alert.alert_id)


def _entry(event: Event, encode_event: Callable[[Event], bytes]) -> log.NewEntry:
    alert = event.alert
    return log.NewEntry(
        alert_id=alert.alert_id,
        host_id=alert.key.host_id,
        kind=alert.key.kind,
        severity=alert.severity,
        type=event.type,
        record_time=event.record_time,
        payload=encode_event(event),
    )
