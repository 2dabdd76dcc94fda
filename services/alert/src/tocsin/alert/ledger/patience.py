"""How long callers wait: the same time for all of them, so that one timer is enough."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.alert.ledger.call import Call


class Patience:
    """Gives up each call that is not answered within the same time.

    `asyncio.timeout` would set a timer for each call and take it back: a twentieth of what the
    event loop has to do for a touch.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: deque[tuple[float, Call]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, call: Call) -> None:
        """Give a call up when its time is over, counted from now."""
        calls, loop = self._calls, asyncio.get_running_loop()
        while calls and calls[0][1].is_over:
            calls.popleft()
        calls.append((loop.time() + self._seconds, call))
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        calls, loop = self._calls, asyncio.get_running_loop()
        now = loop.time()
        while calls and (calls[0][0] <= now or calls[0][1].is_over):
            calls.popleft()[1].give_up()
        self._timer = loop.call_at(calls[0][0], self._look) if calls else None
