"""The recent end of the log, kept once in memory for all subscribers of this process.

There is no queue per subscriber: each keeps its own cursor and takes what follows it. One that
falls behind what is kept reads pages from PostgreSQL until it is back, so memory is bounded
whatever the number of subscribers and however slow they are.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from tocsin.alert.eventlog.checks import epoch_changed
from tocsin.alert.eventlog.identity import UnsettledLogError
from tocsin.alert.eventlog.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from tocsin.alert.eventlog.log import Entry
    from tocsin.common.errors import TocsinError

# What is published is told at once after a rest. While it comes fast, each telling of all
# subscribers is paid for by a pause of some three times what it costs, so that they get more in
# fewer messages and leave time for everybody else.
_PAUSE_SECONDS = 0.0003  # for each subscriber
_LONGEST_PAUSE_SECONDS = 0.1
_RUNS_KEPT = 8  # each may hold a message
_TRIM_SHARE = 4  # a quarter at a time: dropping from the front of a list moves all the rest


class Cursor:
    """Where a subscriber stands. `revision` is the last it was sent, None before the first."""

    __slots__ = ("revision",)

    def __init__(self) -> None:
        self.revision: int | None = None


class Broadcast:
    """A bounded run of the newest entries, without a gap, and a signal that there are more.

    Holds at most `max_entries`, and frames of at most `max_bytes`. `gaps_found` counts the gaps
    in the log that any reader has found. `clock` tells seconds, from any moment on.
    """

    def __init__(
        self,
        *,
        max_entries: int = 2_000,
        max_bytes: int = 32 * 2**20,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: list[Entry] = []
        self._bytes = 0
        self._runs: dict[tuple[int, int, int], Run] = {}
        self._failure: Callable[[], TocsinError] | None = UnsettledLogError
        self._closed: Callable[[], TocsinError] | None = None
        self._changed = asyncio.Event()
        self._clock = clock
        self._told_at = -_LONGEST_PAUSE_SECONDS
        self._telling: asyncio.TimerHandle | None = None
        self.epoch: UUID | None = None
        self.head = 0
        self._is_live = False
        self.gaps_found = 0
        self._cursors: set[Cursor] = set()

    @contextmanager
    def subscribed(self) -> Iterator[Cursor]:
        """Count a subscriber for as long as it is one, and lend it its cursor."""
        cursor = Cursor()
        self._cursors.add(cursor)
        try:
            yield cursor
        finally:
            self._cursors.discard(cursor)

    @property
    def subscribers(self) -> int:
        """How many subscribers there are."""
        return len(self._cursors)

    @property
    def longest_lag(self) -> int:
        """How many revisions the one furthest behind has yet to be sent. 0 without any."""
        places = [each.revision for each in self._cursors if each.revision is not None]
        return max(0, self.head - min(places)) if places else 0

    @property
    def kept_bytes(self) -> int:
        """How large the entries are that are kept."""
        return self._bytes

    @property
    def changed(self) -> asyncio.Event:
        """An event that is set soon after the next change. Take it before you look."""
        return self._changed

    @property
    def is_live(self) -> bool:
        """Whether `head` was the end of the log when it was last looked at."""
        return self._is_live

    @is_live.setter
    def is_live(self, is_live: bool) -> None:
        if is_live != self._is_live:
            self._is_live = is_live
            self._tell()

    @property
    def failed(self) -> bool:
        """Whether every stream is refused just now."""
        return self._failure is not None

    def open(self, epoch: UUID, head: int) -> None:
        """Begin anew at a position, nothing kept. Ends any failure."""
        self.epoch, self.head, self._failure = epoch, head, None
        self._entries.clear()
        self._runs.clear()
        self._bytes = 0
        self._tell()

    def fail(self, failure: Callable[[], TocsinError]) -> None:
        """End all streams, and every new one, with this error until the next `open`."""
        self._failure = failure
        self._tell()

    def close(self, failure: Callable[[], TocsinError]) -> None:
        """End all streams, and every new one, with this error until `reopen`."""
        self._closed = failure
        self._tell()

    def reopen(self) -> None:
        """Take on streams again after `close`."""
        self._closed = None

    def publish(self, entries: Sequence[Entry]) -> None:
        """Add the entries that follow `head`."""
        if entries[0].revision != self.head + 1:
            raise ValueError(f"{entries[0].revision} does not follow {self.head}")
        self._entries.extend(entries)
        self._runs.clear()
        self._bytes += sum(len(entry.frame) for entry in entries)
        self.head = entries[-1].revision
        self._trim()
        self._tell_soon()

    def check_open(self) -> None:
        """Raise what ends every stream, if anything does."""
        failure = self._closed or self._failure
        if failure is not None:
            raise failure()

    def check(self, epoch: UUID) -> None:
        """Raise what ends a stream of this epoch, if anything does."""
        self.check_open()
        if self.epoch is not None and epoch != self.epoch:
            raise epoch_changed(self.epoch)

    def after(self, revision: int, limit: int, max_bytes: int) -> Run | None:
        """Return the entries that follow a revision, or None when they are no longer kept.

        At most `limit`, and no more once their frames have reached `max_bytes`. Until more is
        published, all who ask for the same are given the same.
        """
        start = revision - self.head + len(self._entries)
        if start < 0 or self.epoch is None:
            return None
        asked = (revision, limit, max_bytes)
        run = self._runs.get(asked)
        if run is None:
            run = Run(self.epoch, revision, self._slice(start, limit, max_bytes))
            if len(self._runs) >= _RUNS_KEPT:
                del self._runs[next(iter(self._runs))]
            self._runs[asked] = run
        return run

    def _slice(self, start: int, limit: int, max_bytes: int) -> tuple[Entry, ...]:
        found = self._entries[start : start + limit]
        taken = 0
        for place, entry in enumerate(found):
            if taken >= max_bytes:
                return tuple(found[:place])
            taken += len(entry.frame)
        return tuple(found)

    def _trim(self) -> None:
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            count = max(1, len(self._entries) // _TRIM_SHARE)
            self._bytes -= sum(len(entry.frame) for entry in self._entries[:count])
            del self._entries[:count]

    def _tell_soon(self) -> None:
        if self._telling is not None:
            return
        pause = min(self.subscribers * _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        left = self._told_at + pause - self._clock()
        if left > 0:
            self._telling = asyncio.get_running_loop().call_later(left, self._tell_published)
        else:
            self._tell_published()

    def _tell_published(self) -> None:
        self._told_at = self._clock()
        self._tell()

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
