"""The commands that wait for the lanes."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from tocsin.alert.ledger.apart import split

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tocsin.alert.ledger.call import Entry
    from tocsin.alert.ledger.gathering import Gathering

PLENTY: Final = 100
"""So many commands are worth a transaction of their own beside another."""

# How far in the queue it is looked for what may be written beside a batch.
_FURTHEST: Final = 1_000

# After so long without work a lane lends its connection to others.
_REST_SECONDS: Final = 0.5


class CommandQueue:
    """Commands in the order of their submission, taken in batches.

    `max_batch` are taken at a time, and `max_length` may wait. Closed, it holds what it has, and
    nobody waits for more. One lane at a time waits in `has_some`, and one in `has_plenty`.
    """

    def __init__(self, gathering: Gathering, *, max_batch: int, max_length: int) -> None:
        self.max_batch = max_batch
        self._gathering = gathering
        self._max_length = max_length
        self._entries: deque[Entry] = deque()
        self._wanted = 1
        self._woken = asyncio.Event()
        self._plenty = asyncio.Event()
        self._put_since = 0  # the last time that it was worth a look
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
        self._plenty.set()

    def put(self, entries: Iterable[Entry]) -> list[Entry]:
        """Put commands at the end, and return those for which there is no room."""
        before, left = len(self._entries), []
        for entry in entries:
            if self.is_full:
                left.append(entry)
            else:
                self._entries.append(entry)
        if len(self._entries) >= self._wanted:
            self._woken.set()
        self._put_since += len(self._entries) - before
        if before < PLENTY or self._put_since >= PLENTY:
            self.look()
        return left

    def look(self) -> None:
        """Wake who waits in `has_plenty`, if there is."""
        if len(self._entries) >= PLENTY:
            self._put_since = 0
            self._plenty.set()

    async def has_some(self, rest: Callable[[], Awaitable[None]]) -> bool:
        """Wait for commands. False when there will be none any more. After a while, `rest`."""
        while not self._entries and not self._closed:
            self._woken.clear()
            await wait_or_rest(self._woken, rest)
        return bool(self._entries)

    async def has_plenty(self, rest: Callable[[], Awaitable[None]]) -> bool:
        """Wait until a put or a `look` finds PLENTY. False once this is closed."""
        await wait_or_rest(self._plenty, rest)
        self._plenty.clear()
        return not self._closed

    async def gather(self) -> None:
        """Let the next batch grow while that is worth it, or until this is closed."""
        wanted = min(self._gathering.wanted, self.max_batch)
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

    def next_batch(self) -> list[Entry]:
        """Return what would be taken next, and leave it where it is."""
        return list(islice(self._entries, self.max_batch))

    def take(self) -> list[Entry]:
        """Take a batch off, without what nobody waits for any more."""
        return [entry for entry in self._pop(self.max_batch) if not entry.is_abandoned]

    def take_apart(self, at_work: set[str] | None, least: int = 1) -> list[Entry]:
        """Take what may be written beside a batch (see `split`), if that is at least so many.

        It is looked for among the next 1,000.
        """
        found = split(islice(self._entries, _FURTHEST), at_work, self.max_batch)
        if len(found.apart) < least:
            return []
        self._pop(len(found.apart) + len(found.left))
        self._entries.extendleft(reversed(found.left))
        return [entry for entry in found.apart if not entry.is_abandoned]

    def _pop(self, most: int) -> list[Entry]:
        entries = self._entries
        return [entries.popleft() for _ in range(min(most, len(entries)))]

    def take_all(self) -> list[Entry]:
        """Take whatever there is."""
        entries = list(self._entries)
        self._entries.clear()
        return entries

    def wrote(self, size: int, seconds: float) -> None:
        """Learn how large a batch was, and how long it took."""
        self._gathering.wrote(size, seconds)


async def wait_or_rest(event: asyncio.Event, rest: Callable[[], Awaitable[None]]) -> None:
    """Wait for an event. After a while, `rest`."""
    try:
        async with asyncio.timeout(_REST_SECONDS):
            await event.wait()
    except TimeoutError:
        await rest()
        await event.wait()
