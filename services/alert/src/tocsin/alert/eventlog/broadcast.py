"""The recent end of the log, kept once in memory for all subscribers of this process.

There is no queue per subscriber: each keeps its own cursor and takes what follows it. One that
falls behind what is kept reads pages from PostgreSQL until it is back, so memory is bounded
whatever the number of subscribers and however slow they are.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tocsin.alert.eventlog.checks import epoch_changed
from tocsin.alert.eventlog.identity import UnsettledLogError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from tocsin.alert.eventlog.log import Entry
    from tocsin.common.errors import TocsinError

_TRIM_SHARE = 4  # a quarter at a time: dropping from the front of a list moves all the rest


class Broadcast:
    """A bounded run of the newest entries, without a gap, and a signal that there are more.

    Holds at most `max_entries`, and payloads of at most `max_bytes`. `gaps_found` counts the gaps
    in the log that any reader has found.
    """

    def __init__(self, *, max_entries: int = 10_000, max_bytes: int = 32 * 2**20) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: list[Entry] = []
        self._bytes = 0
        self._failure: Callable[[], TocsinError] | None = UnsettledLogError
        self._closed: Callable[[], TocsinError] | None = None
        self._changed = asyncio.Event()
        self.epoch: UUID | None = None
        self.head = 0
        self._is_live = False
        self.gaps_found = 0

    @property
    def changed(self) -> asyncio.Event:
        """An event that is set at the next change. Take it before looking at the entries."""
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
        self._bytes += sum(len(entry.payload) for entry in entries)
        self.head = entries[-1].revision
        self._trim()
        self._tell()

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

    def after(self, revision: int, limit: int, max_bytes: int) -> tuple[Entry, ...] | None:
        """Return the entries that follow a revision, or None when they are no longer kept.

        At most `limit`, and no more once their payloads have reached `max_bytes`.
        """
        start = revision - self.head + len(self._entries)
        if start < 0:
            return None
        found: list[Entry] = []
        taken = 0
        for entry in self._entries[start : start + limit]:
            if taken >= max_bytes:
                break
            found.append(entry)
            taken += len(entry.payload)
        return tuple(found)

    def _trim(self) -> None:
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            count = max(1, len(self._entries) // _TRIM_SHARE)
            self._bytes -= sum(len(entry.payload) for entry in self._entries[:count])
            del self._entries[:count]

    def _tell(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
