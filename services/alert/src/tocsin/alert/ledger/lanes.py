"""Who takes commands off the queue: one lane, and a second one when very many wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from tocsin.alert.ledger.apart import hosts_of, hosts_to_leave
from tocsin.alert.ledger.command_queue import PLENTY, wait_or_rest
from tocsin.alert.ledger.writer import settle_all
from tocsin.common.postgres.failures import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tocsin.alert.ledger.call import Entry
    from tocsin.alert.ledger.command_queue import CommandQueue
    from tocsin.alert.ledger.observing import LaneObserver
    from tocsin.alert.ledger.writer import Writer

# A call takes some turns of the event loop to come from gRPC to the queue. A lane that leaves it
# none between large batches lets calls wait where nobody sees them, and refuses none.
_MANY: Final = 200
_TURNS: Final = 8


class _Batch(NamedTuple):
    """What a lane is at work on: since when, and whose reports, as `hosts_of` says."""

    began: float
    hosts: set[str] | None


class Lanes:
    """Write what is in a queue, a batch at a time, each batch in one transaction.

    The second lane begins a batch only while the first is at work, and only of commands that are
    apart from those: PLENTY of them, and once it has a connection. So this process decides on some
    while the database writes the others.
    """

    def __init__(
        self,
        queue: CommandQueue,
        writers: tuple[Writer, Writer],
        observer: LaneObserver,
        monotonic: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._first, self._second = writers
        self._observer = observer
        self._now = monotonic
        self._last_began = monotonic()
        self._at_work: dict[Writer, _Batch] = {}
        self._second_is_free = asyncio.Event()  # clear exactly while the second has a batch
        self._second_is_free.set()

    @property
    def began(self) -> float:
        """When the batch was begun that is at work the longest, or else the last one."""
        return min((batch.began for batch in self._at_work.values()), default=self._last_began)

    async def run(self) -> None:
        """Work until the queue is closed and empty.

        If this is cancelled, what is at work is broken off, and what waits fails.
        """
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._run_first(), name="ledger")
                lanes.create_task(self._run_second(), name="ledger-beside")
        finally:
            settle_all(self._queue.take_all(), unavailable())
            await self._first.rest()
            await self._second.rest()

    async def _run_first(self) -> None:
        queue = self._queue
        while await queue.has_some(self._first.rest):
            await queue.gather()
            entries = self._take()
            if entries or self._second not in self._at_work:  # nobody may wait for them any more
                queue.wrote(len(entries), await self._write(self._first, entries))
            else:  # what is next belongs behind what the second lane has
                await wait_or_rest(self._second_is_free, self._first.rest)

    async def _run_second(self) -> None:
        while await self._queue.has_plenty(self._second.rest):
            if self._may_help() and await self._second.prepare():
                await self._write_beside()

    async def _write_beside(self) -> None:
        first = self._at_work.get(self._first)
        entries = self._queue.take_apart(first.hosts, PLENTY) if first else []
        if not entries:
            return
        self._second_is_free.clear()
        try:
            await self._write(self._second, entries)
        finally:
            self._second_is_free.set()

    def _take(self) -> list[Entry]:
        """Take what the first lane writes next: of much about half, so that the second has some."""
        queue, beside = self._queue, self._at_work.get(self._second)
        if beside is not None:
            return queue.take_apart(beside.hosts)
        if 2 * PLENTY <= len(queue) < queue.max_batch + PLENTY and self._second.has_connection:
            others = hosts_to_leave(queue.next_batch(), PLENTY)
            return queue.take_apart(others) if others else queue.take()
        return queue.take()

    def _may_help(self) -> bool:
        is_worth_it = len(self._queue) >= PLENTY and self._first in self._at_work
        return is_worth_it and self._second.has_connection

    async def _write(self, writer: Writer, entries: Sequence[Entry]) -> float:
        """Write a batch, and return the time that it took."""
        self._last_began = began = self._now()
        self._at_work[writer] = _Batch(began, hosts_of(entries))
        self._queue.look()
        try:
            await writer.write(entries)
        finally:
            del self._at_work[writer]
        took = self._now() - began
        self._observer.wrote(entries, took)
        if len(entries) >= _MANY:
            await _let_calls_begin()
        return took


async def _let_calls_begin() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
