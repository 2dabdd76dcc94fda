"""The file of a spool: where it lies, how it is opened, what its tables are."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUSY_SECONDS = 5.0
_VERSION = 1
_FOR_THE_SYSTEM = Path("/var/lib/tocsin")
_NAME = "spool.db"

# `number` never comes again, so that it is the order in which reports were taken.
# `report` is the request of protobuf; `made_…` are microseconds: of the wall clock since 1970, and
# of the machine's running since its boot. `reason` says why a report was set aside.
_SCHEMA = """
CREATE TABLE reports (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('started', 'finished')),
    job_id TEXT NOT NULL,
    report BLOB NOT NULL,
    made_wall INTEGER NOT NULL,
    made_uptime INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT
);
CREATE TABLE dropped (kind TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""


class SpoolError(Exception):
    """The spool cannot be read or written; the message says why, and where it lies."""


def default_path(environment: Mapping[str, str]) -> Path:
    """Return where the spool lies: TOCSIN_SPOOL, else a place of root's or of the user's own."""
    given = environment.get("TOCSIN_SPOOL", "")
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return _FOR_THE_SYSTEM / _NAME
    state = environment.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "tocsin" / _NAME


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system complain of into a SpoolError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise SpoolError(f"the spool {path}: {error}") from error


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file, readable by its owner only, and make it when it is not there.

    What is committed is on the disk. Several processes may have it open. Raises SpoolError.
    """
    with telling(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _set_up(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise SpoolError(f"the spool {path} was made by a later version of Tocsin")
        if version == 0:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")


def _use_wal(connection: sqlite3.Connection) -> None:
    # Of two that turn a new file to WAL at once, SQLite refuses one without waiting.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do what is in the block whole or not at all; others wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):  # some errors have rolled it back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
