"""Writes batches: repeats what may succeed the next time, and finds the command that cannot."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from tocsin.alert.ledger.transaction import Parts, Written, write_batch
from tocsin.alert.store.races import RacedError
from tocsin.common.errors import ResourceExhaustedError, TocsinError, UnavailableError
from tocsin.common.postgres.failures import is_worth_repeating, unavailable
from tocsin.common.postgres.hold import Hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tocsin.alert.eventlog.log import Appended
    from tocsin.alert.ledger.call import Entry
    from tocsin.alert.ledger.commands import Command
    from tocsin.alert.ledger.first_try import FirstTry
    from tocsin.common.postgres.engine import Database

_log = structlog.get_logger(__name__)

# A deadlock, or what another process wrote at the same moment, is over by the next try; what is
# not is beyond repair by trying.
_TRIES = 5


class Writer:
    """Writes entries of the queue, each batch in one transaction, and settles every one."""

    def __init__(
        self,
        database: Database,
        parts: Parts,
        first_try: FirstTry,
        on_commit: Callable[[Appended], None],
    ) -> None:
        self._hold = Hold(database)
        self._first_try = first_try
        self._parts = parts
        self._on_commit = on_commit

    @property
    def has_connection(self) -> bool:
        """Whether it need not wait until others give a connection back."""
        return self._hold.is_at_hand

    async def prepare(self) -> bool:
        """Take a connection, before anything is taken to be written. False if there is none."""
        try:
            await self._hold.prepare()
        except TocsinError:
            return False
        return True

    async def rest(self) -> None:
        """Give the connection back that is kept from one batch to the next, dead or alive."""
        with suppress(TocsinError):
            await self._hold.release()

    async def write(self, entries: Sequence[Entry]) -> bool:
        """Write entries in one transaction, or in several when one of them fails.

        When the database is away or full, all entries fail at once and False is returned: the
        next ones would wait for nothing. A batch that fails for another reason is halved until
        the command that it fails for stands alone, so that all others are written.
        """
        if not entries:
            return True
        try:
            written = await self._transact([entry.command for entry in entries])
        except (UnavailableError, ResourceExhaustedError) as error:
            settle_all(entries, error)
            return False
        except asyncio.CancelledError:
            settle_all(entries, unavailable())
            raise
        except Exception as error:  # noqa: BLE001 - it fails the command, never the lane
            if len(entries) > 1:
                _log.warning("ledger_batch_halved", commands=len(entries), error=repr(type(error)))
                return await self._write_halves(entries)
            entries[0].settle(_told(error, entries[0].command))
            return True
        self._settle(entries, written)
        return True

    async def _write_halves(self, entries: Sequence[Entry]) -> bool:
        middle = len(entries) // 2
        if await self.write(entries[:middle]):
            return await self.write(entries[middle:])
        settle_all(entries[middle:], unavailable())
        return False

    async def _transact(self, commands: Sequence[Command]) -> Written:
        written = await self._first_try.write(self._hold, commands)
        if written is None:
            written = await self._lock_and_write(commands)
            self._first_try.learn(written.book)
        return written

    async def _lock_and_write(self, commands: Sequence[Command]) -> Written:
        for _ in range(_TRIES):
            try:
                async with self._hold.transaction() as connection:
                    return await write_batch(connection, commands, self._parts)
            except Exception as error:
                if not (isinstance(error, RacedError) or is_worth_repeating(error)):
                    raise
        raise unavailable()

    def _settle(self, entries: Sequence[Entry], written: Written) -> None:
        """Tell the log's readers first: one word wakes them all, while callers are many."""
        if written.appended.revisions:
            self._tell(written.appended)
            self._parts.floods.committed(written.book.events)
        for entry, result in zip(entries, written.results, strict=True):
            entry.settle(result)

    def _tell(self, appended: Appended) -> None:
        try:
            self._on_commit(appended)
        except Exception:  # noqa: BLE001 - what was committed stays so; readers poll as well
            _log.exception("ledger_on_commit_failed")


def settle_all(entries: Iterable[Entry], error: TocsinError) -> None:
    """Let all entries fail alike."""
    for entry in entries:
        entry.settle(error)


def _told(error: Exception, command: Command) -> TocsinError:
    """Return what a caller may know of a failure: for a bug, where the log has the rest."""
    if isinstance(error, TocsinError):
        return error
    error_id = str(uuid4())
    _log.error(
        "ledger_command_failed",
        command=type(command).__name__,
        error_id=error_id,
        exc_info=error,
    )
    return TocsinError(
        f"Something went wrong inside the server. Its log has the rest under error_id {error_id}.",
        reason="INTERNAL",
        metadata={"error_id": error_id},
    )
