"""Reports decided before anything is locked, and written in one statement if nothing has changed.

What is decided by is remembered, or read without a lock, and may be out of date. So the statement
that writes first locks the keys and compares what is stored with what was decided by. If any of
it differs, nothing is written, and the batch is for a transaction that locks before it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from tocsin.alert.engine.floods import flood_key
from tocsin.alert.engine.transitions import KeyState
from tocsin.alert.eventlog import log
from tocsin.alert.ledger.alert_writes import changes_of, key_change
from tocsin.alert.ledger.batch import Batch, Rows
from tocsin.alert.ledger.chance import Chance
from tocsin.alert.ledger.commands import is_report
from tocsin.alert.ledger.fold import Fold
from tocsin.alert.ledger.key_memory import KeyMemory
from tocsin.alert.ledger.transaction import Written, applied, book_of, entries_of, request_ids_of
from tocsin.alert.store.changes import call_to_write
from tocsin.alert.store.expected import Expected, call_to_hold, write_if
from tocsin.alert.store.keys import read_keys
from tocsin.alert.store.requests import REMEMBERED_FOR
from tocsin.common.postgres.failures import is_worth_repeating

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.key import Key
    from tocsin.alert.ledger.alert_book import AlertBook
    from tocsin.alert.ledger.commands import Command
    from tocsin.alert.ledger.key_memory import Known
    from tocsin.alert.ledger.transaction import Parts
    from tocsin.common.postgres.hold import Hold


_FEW = 8
"""Keys of a batch whose round trips cost more than what is read."""


class _Reports(NamedTuple):
    """A batch of reports alone: `keys` are in their order, `rooms` are as in AlertBook."""

    commands: Sequence[Command]
    keys: Sequence[Key]
    rooms: dict[str, int]


class _Basis(NamedTuple):
    """What keys are decided by: their states, which of them have no row, and hosts as put."""

    states: dict[Key, KeyState]
    missing: set[Key]
    hosts: dict[str, Host]


class FirstTry:
    """Writes batches of reports alone, most of them in one round trip.

    After a conflict it holds back for some batches: where several processes write the same keys
    at the same time, to lock first costs less.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._memory = KeyMemory()
        self._by_memory = Chance()
        self._few_by_reading = Chance()
        self._many_by_reading = Chance()

    def learn(self, book: AlertBook) -> None:
        """Take note of a batch that was committed otherwise."""
        self._memory.keep(book)

    async def write(self, hold: Hold, commands: Sequence[Command]) -> Written | None:
        """Write a batch, if it is one of reports alone and no other process is in the way.

        None, and nothing is written, if it must be written otherwise. After an error it may or
        may not have been written, as after an error of any commit.
        """
        keys = _keys_of_reports(commands)
        if keys is None:
            return None
        rooms = self._parts.floods.rooms_of(keys)
        keys.update(map(flood_key, rooms))
        reports = _Reports(commands, sorted(keys), rooms)
        known = self._memory.recall(reports.keys) if self._by_memory.is_taken() else {}
        if 2 * len(known) >= len(reports.keys):
            written = await self._try(hold, reports, known)
            self._by_memory.ended(well=written is not None)
            # A request that was answered before is a conflict too, which reading does not end.
            if written is not None or request_ids_of(commands):
                return written
        few = len(reports.keys) <= _FEW
        chance = self._few_by_reading if few else self._many_by_reading
        if not chance.is_taken():
            return None
        written = await self._try(hold, reports, {})
        chance.ended(well=written is not None and (few or _most_were_new(written.book)))
        return written

    async def _try(
        self, hold: Hold, reports: _Reports, known: Mapping[Key, Known]
    ) -> Written | None:
        written = None
        try:
            async with hold.connection() as connection:
                # Caught in here: a statement of its own that fails leaves the connection at rest.
                try:
                    written = await _write(connection, reports, known, self._parts)
                except asyncpg.PostgresError as error:
                    if not is_worth_repeating(error):
                        raise
        finally:
            if written is None:
                self._memory.forget(reports.keys)
            else:
                self._memory.keep(written.book)
        return written


def _most_were_new(book: AlertBook) -> bool:
    """Whether reading paid: what is read of alerts and then compared costs more than locks do."""
    return 2 * sum(state.alert is None for state in book.states.values()) >= len(book.states)


def _keys_of_reports(commands: Iterable[Command]) -> set[Key] | None:
    """Return the keys of a batch that concerns nothing else, None of one that does.

    What people report belongs into the audit trail as well.
    """
    keys: set[Key] = set()
    for command in commands:
        if not is_report(command) or command.caller.is_person:
            return None
        keys.add(command.key)
    return keys


async def _write(
    connection: asyncpg.Connection, reports: _Reports, known: Mapping[Key, Known], parts: Parts
) -> Written | None:
    basis = await _read(connection, reports.keys, known)
    # Later than all that is decided by: what is recorded of one key later has a later time.
    now = parts.clock.now()
    book = book_of(parts, now, basis.states, basis.hosts, dict(reports.rooms))
    fold = Fold(Batch(book, Rows()), {})
    results = [applied(fold, command) for command in reports.commands]
    entries = entries_of(book, parts)
    condition = call_to_hold(_expected(book, basis, reports.commands))
    call = call_to_write(changes_of(fold, basis.missing), now)
    if entries:
        appended = await log.append_if(connection, condition, entries, call)
    else:
        held = await write_if(connection, condition, call)
        appended = log.NOTHING_APPENDED if held else None
    return None if appended is None else Written(results, book, appended)


async def _read(
    connection: asyncpg.Connection, keys: Sequence[Key], known: Mapping[Key, Known]
) -> _Basis:
    """Return what keys are decided by: what is known of them, and what is read of the others."""
    states = {key: each.state for key, each in known.items()}
    hosts = {key.host_id: each.host for key, each in known.items() if each.host is not None}
    unknown = [key for key in keys if key not in known]
    if not unknown:
        return _Basis(states, set(), hosts)
    read = await read_keys(connection, unknown)
    states.update({key: KeyState(*stored) for key, stored in read.keys.items()})
    hosts.update(read.hosts)
    if known:
        states = {key: states[key] for key in keys}
    return _Basis(states, read.missing, hosts)


def _expected(book: AlertBook, basis: _Basis, commands: Iterable[Command]) -> Expected:
    stored, missing = basis.states, basis.missing
    if missing:
        stored = {key: state for key, state in stored.items() if key not in missing}
    return Expected(
        keys=stored,
        hosts=basis.hosts,
        new={key: key_change(book.state(key)) for key in basis.states if key in missing},
        request_ids=request_ids_of(commands),
        remembered_since=book.now - REMEMBERED_FOR,
    )
