"""Waiting for what other tasks do, by signals; by looking again where there is no signal."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

WITHIN_SECONDS = 30.0
"""Far more than anything takes: only a failure waits so long, and a busy machine may be slow."""


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, within: float = WITHIN_SECONDS
) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, within: float = WITHIN_SECONDS) -> T: ...


async def eventually(
    condition: Callable[[], T | Awaitable[T]], *, within: float = WITHIN_SECONDS
) -> T:
    """Look at the condition until it is true, and return what it gave.

    For what gives no signal (rows in a database, the state of a process). Raises AssertionError,
    with what was last seen, when the time is over.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    pause = 0.001
    while True:
        seen = condition()
        value: T = await seen if inspect.isawaitable(seen) else seen
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(f"not within {within} s: {condition}; last seen: {value!r}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.05)


class Recorder(Generic[T]):
    """Collects what a callback is given; a test waits until enough has come.

    >>> heard = Recorder[str]()
    >>> listener = Listener(url, "channel", heard)
    >>> await heard.count(2)
    """

    def __init__(self) -> None:
        self.items: list[T] = []
        self._changed = asyncio.Condition()
        self._waker: set[asyncio.Task[None]] = set()

    def __call__(self, item: T) -> None:
        self.items.append(item)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._waker.add(task)
        task.add_done_callback(self._waker.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(
        self, condition: Callable[[list[T]], bool], *, within: float = WITHIN_SECONDS
    ) -> list[T]:
        """Wait until the condition holds for what has come, and return all of it."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: condition(self.items))
        return list(self.items)

    async def count(self, wanted: int, *, within: float = WITHIN_SECONDS) -> list[T]:
        """Wait until at least that many have come, and return all."""
        return await self.until(lambda items: len(items) >= wanted, within=within)
