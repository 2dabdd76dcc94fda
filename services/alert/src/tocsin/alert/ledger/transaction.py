"""One batch, one transaction: lock the keys, read, decide, write, append the events last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.engine.transitions import KeyState
from tocsin.alert.eventlog import log
from tocsin.alert.ledger.commands import (
    Acknowledge,
    AutoResolve,
    Command,
    Lapse,
    RaiseOrTouch,
    Resolve,
)
from tocsin.alert.ledger.fold import Fold, Read
from tocsin.alert.ledger.remembered import Remembered
from tocsin.alert.store.alerts import insert_alerts, keys_of, read_alerts, update_alerts
from tocsin.alert.store.keys import StoredKey, lock_keys, update_keys
from tocsin.alert.store.requests import StoredAnswer, read_requests, remember_requests
from tocsin.common.errors import TocsinError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.alert.domain.event import Event
    from tocsin.alert.domain.key import Key
    from tocsin.alert.ledger.commands import Result
    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId

_HOST_NAMES = "SELECT host_id, name FROM hosts WHERE host_id = ANY($1::text[]) AND name <> ''"


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
    read = await _read(connection, commands, parts.clock)
    fold = Fold(read, parts.new_id)
    results = [_applied(fold, command) for command in commands]
    entries = [_entry(event, parts.encode_event) for event in fold.events]
    await _write_rows(connection, fold)
    await log.append(connection, entries)
    return Written(results, has_events=bool(entries))


def _applied(fold: Fold, command: Command) -> Result:
    try:
        return fold.apply(command)
    except TocsinError as refusal:
        return refusal


async def _read(connection: asyncpg.Connection, commands: Sequence[Command], clock: Clock) -> Read:
    """Lock every key that the commands touch, then read in statements of their own.

    The time is taken under the locks: what is recorded of one key later has a later time.
    """
    keys = {key for command in commands if (key := _observed_key(command)) is not None}
    named = await _named_keys(connection, commands)
    keys.update(named.values())
    stored = await lock_keys(connection, sorted(keys)) if keys else {}
    now = clock.now()
    latest = {key.last_alert_id for key in stored.values() if key.last_alert_id is not None}
    wanted = latest.union(named)
    alerts = await read_alerts(connection, wanted) if wanted else {}
    return Read(
        now=now,
        states={
            key: KeyState(
                row.cleared_time,
                None if row.last_alert_id is None else alerts[row.last_alert_id],
            )
            for key, row in stored.items()
        },
        alerts=alerts,
        host_names=await _read_host_names(connection, keys),
        remembered=await _read_remembered(connection, commands, now),
    )


async def _named_keys(
    connection: asyncpg.Connection, commands: Sequence[Command]
) -> dict[UUID, Key]:
    """Return the keys of the alerts that commands name, as far as the alerts exist."""
    named = {
        command.alert_id
        for command in commands
        if isinstance(command, Acknowledge | Resolve | Lapse)
    }
    return await keys_of(connection, named) if named else {}


async def _read_host_names(connection: asyncpg.Connection, keys: Iterable[Key]) -> dict[str, str]:
    rows = await connection.fetch(_HOST_NAMES, {key.host_id for key in keys})
    return {row[0]: row[1] for row in rows}


async def _read_remembered(
    connection: asyncpg.Connection, commands: Sequence[Command], now: datetime
) -> dict[str, Remembered]:
    requests = (command.request for command in commands if not isinstance(command, Lapse))
    ids = {request.request_id for request in requests if request is not None}
    if not ids:
        return {}
    return {
        request_id: Remembered.from_document(stored.fingerprint, stored.document)
        for request_id, stored in (await read_requests(connection, ids, now)).items()
    }


async def _write_rows(connection: asyncpg.Connection, fold: Fold) -> None:
    """Write what changed. What was resolved goes first: its key may have a new alert."""
    known = fold.read.alerts
    changed = [alert for alert_id, alert in fold.alerts.items() if alert_id in known]
    new = [alert for alert_id, alert in fold.alerts.items() if alert_id not in known]
    if changed:
        await update_alerts(connection, changed)
    if new:
        await insert_alerts(connection, new)
    keys = {key: stored for key in fold.states if (stored := _changed_key(fold, key)) is not None}
    if keys:
        await update_keys(connection, keys)
    if fold.remembered:
        answers = {
            request_id: StoredAnswer(remembered.fingerprint, remembered.to_document())
            for request_id, remembered in fold.remembered.items()
        }
        await remember_requests(connection, answers, fold.read.now)


def _changed_key(fold: Fold, key: Key) -> StoredKey | None:
    before, after = _stored(fold.read.states[key]), _stored(fold.states[key])
    return None if before == after else after


def _stored(state: KeyState) -> StoredKey:
    return StoredKey(state.cleared_time, None if state.alert is None else state.alert.alert_id)


def _observed_key(command: Command) -> Key | None:
    match command:
        case RaiseOrTouch():
            return command.failure.key
        case AutoResolve():
            return command.success.key
        case _:
            return None


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
