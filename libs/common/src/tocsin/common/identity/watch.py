"""The credentials in memory: as the database had them at most 2 s ago, or when it last answered."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.common.errors import UnavailableError
from tocsin.common.identity import audit, credential_rows
from tocsin.common.identity.credentials import NOBODY_KNOWN, Known
from tocsin.common.lifecycle import BackgroundLoop

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

POLL: Final = timedelta(seconds=1)
NOTE_USE_AFTER: Final = timedelta(minutes=1)
FORGET_AT_ONCE: Final = 1000


class CredentialWatch:
    """Keeps `known` true, notes in the database what was `used`, and forgets old audit entries.

    While the database is away what was known last holds: whoever could call still can, until its
    time is over. `on_poll` is called each time that the credentials were looked at, or could not
    be.
    """

    def __init__(self, database: Database, *, clock: Clock, audit_kept: timedelta) -> None:
        self.used: set[UUID] = set()
        self.on_poll: Callable[[], None] = _nothing
        self._database = database
        self._clock = clock
        self._audit_kept = audit_kept
        self._known = NOBODY_KNOWN
        self._version = -1
        self._next_note: datetime | None = None
        self._reading = asyncio.Lock()
        self._loop = BackgroundLoop("credentials", self._step)

    @property
    def known(self) -> Known:
        """Every credential. It is empty until `refresh` or `start`."""
        return self._known

    @property
    def loop(self) -> BackgroundLoop:
        """What takes its steps."""
        return self._loop

    async def start(self) -> None:
        """Read the credentials, and go on doing so. Raises UnavailableError."""
        await self.refresh()
        await self._loop.start()

    async def stop(self) -> None:
        """Read no more."""
        await self._loop.stop()

    async def refresh(self) -> None:
        """Read the credentials now, if they changed: what was committed before is known after."""
        async with self._reading, self._database.connection() as connection:
            version = await credential_rows.read_version(connection)
            if version != self._version:
                self._known = Known.of(await credential_rows.read_all(connection))
                self._version = version
        self.on_poll()

    async def _step(self) -> timedelta:
        try:
            await self.refresh()
        except UnavailableError:
            self.on_poll()
            raise
        now = self._clock.now()
        if self._next_note is None or self._next_note <= now:
            self._next_note = now + NOTE_USE_AFTER
            await self._note(now)
        return POLL

    async def _note(self, now: datetime) -> None:
        async with self._database.connection() as connection:
            if self.used:
                used = frozenset(self.used)
                await credential_rows.note_used(connection, used, now)
                self.used -= used
            await audit.forget_before(connection, now - self._audit_kept, FORGET_AT_ONCE)


def _nothing() -> None:
    """Stands for nobody who wants to know."""
