"""A caller that waits for its commands, without the lane being bound to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.alert.ledger.commands import Command, Result
    from tocsin.common.errors import TocsinError


class Call:
    """The results of the commands of one call: one future for all of them.

    `began` is when it came, by the clock of the lane.
    """

    __slots__ = ("_left", "_over", "_results", "began")

    def __init__(self, commands: int, began: float = 0.0) -> None:
        self.began = began
        self._results: list[Result | None] = [None] * commands
        self._left = commands
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if commands == 0:
            self._over.set_result(None)

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more: for there are all results, or it was abandoned."""
        return self._over.done()

    @property
    def is_abandoned(self) -> bool:
        """Whether the caller was cancelled or has waited long enough."""
        return self._left > 0 and self._over.done()

    def result(self, place: int) -> Result | None:
        """Return the result of the command at `place`, None before it was given."""
        return self._results[place]

    def settle(self, place: int, result: Result) -> None:
        """Give the result of the command at `place`, once."""
        self._results[place] = result
        self._left -= 1
        if self._left == 0:
            self.give_up()

    def give_up(self) -> None:
        """Let the caller have what there is. Without all results, the call is abandoned."""
        if not self._over.done():
            self._over.set_result(None)

    async def results(self, otherwise: Callable[[], TocsinError]) -> list[Result]:
        """Wait for all results, or until it is given up; what is missing then is `otherwise`.

        If the waiting task is cancelled, the call is abandoned.
        """
        await self._over
        return [otherwise() if result is None else result for result in self._results]


class Entry(NamedTuple):
    """A command in the queue, and where its result goes."""

    call: Call
    place: int
    command: Command

    @property
    def is_abandoned(self) -> bool:
        return self.call.is_abandoned

    @property
    def result(self) -> Result | None:
        return self.call.result(self.place)

    def settle(self, result: Result) -> None:
        self.call.settle(self.place, result)
