"""Ledgers for tests: started and stopped, with a way to see what they wrote."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.observed import ORCHESTRATOR
from tocsin.alert.ledger import Ledger
from tocsin.alert.ledger.commands import AutoResolve, RaiseOrTouch, RequestRef
from tocsin.alert.store.alerts import COLUMNS, alert_of
from tocsin.common.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Event
    from tocsin.alert.domain.observation import Failure, Success
    from tocsin.alert.ledger.call import Entry
    from tocsin.common.postgres.engine import Database


class Sizes(list[int]):
    """How large each batch was: an observer of the lanes."""

    def wrote(self, entries: Sequence[Entry], _seconds: float) -> None:
        self.append(len(entries))


async def turns() -> None:
    """Let the event loop turn until what can go on without the database has."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def running_ledger(database: Database, **options: Any) -> AsyncIterator[Ledger]:
    """Give a started ledger. Its events are pickled, so that `events_of` reads them whole."""
    ledger = new_ledger(database, **options)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


def new_ledger(database: Database, **options: Any) -> Ledger:
    """Make a ledger that is not started."""
    defaults: dict[str, Any] = {
        "clock": SystemClock(),
        "encode_event": pickle.dumps,
        "on_commit": lambda _appended: None,
        # A machine under load may be slow; no test depends on it by accident.
        "answer_within": timedelta(seconds=30),
    }
    return Ledger(database, **{**defaults, **options})


def request(request_id: str, content: str = "") -> RequestRef:
    return RequestRef(request_id, content.encode())


def raising(failure: Failure, request: RequestRef | None = None) -> RaiseOrTouch:
    return RaiseOrTouch(failure, ORCHESTRATOR, request)


def clearing(success: Success, request: RequestRef | None = None) -> AutoResolve:
    return AutoResolve(success, ORCHESTRATOR, request)


async def events_of(database: Database) -> list[Event]:
    """Return all events in the order of their revisions, which must have no gap."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT revision, payload FROM events ORDER BY revision")
    assert list(range(1, len(rows) + 1)) == [row["revision"] for row in rows]
    return [pickle.loads(row["payload"]) for row in rows]


async def alerts_of(database: Database) -> list[Alert]:
    """Return all alerts in the order of their ids."""
    async with database.connection() as connection:
        rows = await connection.fetch(f"SELECT {COLUMNS} FROM alerts ORDER BY alert_id")
    return [alert_of(row) for row in rows]


async def count_rows(database: Database, table: str) -> int:
    async with database.connection() as connection:
        count: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
        return count
