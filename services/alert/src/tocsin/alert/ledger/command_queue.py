"""The commands that wait for the lane."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tocsin.alert.ledger.call import Entry
    from tocsin.alert.ledger.gathering import Gathering

# After so long without work the lane lends its connection to others.
_REST_SECONDS: Final = 0.5


class CommandQueue:
    """Commands in the order of their submission, taken in batches by one lane.

    `max_batch` are taken at a time, and `max_length` may wait. Closed, it holds what it has, and
    nobody waits for more.
    """

    def __init__(self, gathering: Gathering, *, max_batch: int, max_length: int) -> None:
        self._gathering = gathering
        self._max_batch = max_batch
        self._max_length = max_length
        self._entries: deque[Entry] = deque()
        self._wanted = 1
        self._woken = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= self._max_length

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def oldest(self) -> Entry:
        """The one that was put first. Raises IndexError when there is none."""
        return self._entries[0]

    def open(self) -> None:
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._woken.set()

    def put(self, entries: Iterable[Entry]) -> list[Entry]:
        """Put commands at the end, and return those for which there is no room."""
        left = []
        for entry in entries:
            if self.is_full:
                left.append(entry)
            else:
                self._entries.append(entry)
        if len(self._entries) >= self._wanted:
            self._woken.set()
        return left

    async def has_some(self, rest: Callable[[], Awaitable[None]]) -> bool:
        """Wait for commands. False when there will be none any more. After a while, `rest`."""
        while not self._entries and not self._closed:
            self._woken.clear()
            try:
                async with asyncio.timeout(_REST_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                await rest()
                await self._woken.wait()
        return bool(self._entries)

    async def gather(self) -> None:
        """Let the next batch grow while that is worth it, or until this is closed."""
        wanted = min(self._gathering.wanted, self._max_batch)
        if len(self._entries) >= wanted or self._closed:
            return
        self._wanted = wanted
        self._woken.clear()
        enough = asyncio.get_running_loop().call_later(self._gathering.seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            enough.cancel()
            self._wanted = 1

    def take(self) -> list[Entry]:
        """Take a batch off, without the commands that nobody waits for any more."""
        entries: list[Entry] = []
        while self._entries and len(entries) < self._max_batch:
            entry = self._entries.popleft()
            if not entry.is_abandoned:
                entries.append(entry)
        return entries

    def take_all(self) -> list[Entry]:
        """Take whatever there is."""
        entries = list(self._entries)
        self._entries.clear()
        return entries

    def wrote(self, size: int, seconds: float) -> None:
        """Learn how large a batch was, and how long it took."""
        self._gathering.wrote(size, seconds)
