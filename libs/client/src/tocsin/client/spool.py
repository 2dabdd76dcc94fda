"""Reports that wait to be sent, durable, in one SQLite file."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.client import spool_rows
from tocsin.client.moments import MachineClock, this_moment
from tocsin.client.spool_file import SpoolError, open_file, telling, transaction
from tocsin.client.spool_rows import SpoolBounds, Spooled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from tocsin.client.backup_requests import JobReport

__all__ = ["Spool", "SpoolBounds", "SpoolCounts", "SpoolError", "Spooled"]

_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class SpoolCounts:
    """How many reports wait, how many were set aside, and how many were ever dropped."""

    waiting: int
    set_aside: int
    dropped: int


@dataclass
class Spool:
    """Reports of jobs in the order in which they were taken. Processes and threads may share one.

    What `add` has returned from is on the disk. Every method raises SpoolError when the file
    cannot be used. A report that lacks its start or end gets the time of its adding; one that
    names its send_time was made by another clock.

    Example:
        >>> with Spool(default_path(os.environ)) as spool:
        ...     spool.add(backup_requests.report_job_finished(job_id, "web-1", "backup", "failed"))
        ...     flush(spool, client)
    """

    path: Path
    clock: MachineClock = this_moment
    bounds: SpoolBounds = field(default_factory=SpoolBounds)
    _guard: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _opened: sqlite3.Connection | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Using the spool again opens it again."""
        with self._guard, telling(self.path):
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.close()

    def add(self, report: JobReport) -> int:
        """Keep a report; return how many were dropped to stay within the bounds."""
        now = self.clock()
        with self._writing() as file:
            spool_rows.insert(file, report, now)
            return spool_rows.drop(file, now, self.bounds)

    def waiting(self, limit: int = 100) -> list[Spooled]:
        """Return the reports that are to be sent next, the first taken first."""
        with self._writing() as file:
            return spool_rows.select(file, set_aside=False, limit=limit)

    def set_aside(self, limit: int = 100) -> list[Spooled]:
        """Return the reports that cannot arrive as they are, the first taken first."""
        with self._writing() as file:
            return spool_rows.select(file, set_aside=True, limit=limit)

    def counts(self) -> SpoolCounts:
        """Return how many reports there are of each sort."""
        with self._writing() as file:
            row = file.execute(
                "SELECT count(*) - count(reason), count(reason),"
                " (SELECT coalesce(sum(count), 0) FROM dropped) FROM reports"
            ).fetchone()
        return SpoolCounts(*row)

    def remove(self, number: int) -> None:
        """Forget a report that has arrived."""
        with self._writing() as file:
            file.execute("DELETE FROM reports WHERE number = ?", (number,))

    def put_aside(self, number: int, reason: str) -> None:
        """Keep a report out of the way of those behind it."""
        with self._writing() as file:
            file.execute("UPDATE reports SET reason = ? WHERE number = ?", (reason, number))

    def count_attempt(self, number: int) -> None:
        """Remember that a report failed once more."""
        with self._writing() as file:
            file.execute("UPDATE reports SET attempts = attempts + 1 WHERE number = ?", (number,))

    def take_back(self) -> int:
        """Let those that were set aside wait again, in their old places; return how many."""
        with self._writing() as file:
            changed = file.execute(
                "UPDATE reports SET reason = NULL, attempts = 0 WHERE reason IS NOT NULL"
            )
            return changed.rowcount

    @contextmanager
    def sending(self, seconds: float) -> Iterator[bool]:
        """Hold the right to send during the block. One at a time has it, so that order is kept.

        Gives False when somebody else has held it for `seconds`. A process that dies loses it.
        """
        path = self.path.with_name(f"{self.path.name}.lock")
        with telling(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _lock(lock, time.monotonic() + seconds)
        finally:
            os.close(lock)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._guard, telling(self.path):
            if self._opened is None:
                self._opened = open_file(self.path)
            with transaction(self._opened):
                yield self._opened


def _lock(lock: int, deadline: float) -> bool:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
