"""About how many alerts of each host are open, as far as this process knows.

It counts what it commits itself. What others commit it learns by a count of the database, asked
for as a host comes nearer to its limit; so a limit may be passed by what is under way.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tocsin.alert.domain.event import EventType
from tocsin.alert.engine.floods import ALERT_FLOOD

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tocsin.alert.domain.event import Event
    from tocsin.alert.domain.key import Key

# The settings allow no more.
MOST_OPEN = 1_000_000

# Hosts of which little is known are forgotten when there are more.
_HOSTS = 100_000


class Floods:
    """Knows which hosts are flooded, or near it, for the batches and the sweep of one process.

    `limit` is how many alerts of a host may be open. `wanted` is called when a host is to be
    counted; it must not block.
    """

    def __init__(self, limit: int = MOST_OPEN) -> None:
        self.limit = limit
        self.wanted: Callable[[], None] = _nobody
        self._open: dict[str, int] = {}
        self._count_at: dict[str, int] = {}
        self._asked: set[str] = set()
        self._near: set[str] = set()
        self._flooded: set[str] = set()

    def rooms_of(self, keys: Collection[Key]) -> dict[str, int]:
        """Return how many alerts each host may still raise that these keys could flood.

        Hosts that have room for all of their keys are left out. With no host near its limit, and
        few keys, it costs nothing.
        """
        if not (self._near or self._flooded) and len(keys) <= self.limit // 2:
            return {}
        rooms: dict[str, int] = {}
        for host_id, count in Counter(key.host_id for key in keys).items():
            room = max(0, self.limit - self._open.get(host_id, 0))
            if host_id in self._flooded or room < count:
                rooms[host_id] = room
        return rooms

    def committed(self, events: Iterable[Event]) -> None:
        """Take note of events that were committed here."""
        before = len(self._asked)
        for event in events:
            if event.type is EventType.RAISED:
                self._take(event.alert.key, 1)
            elif event.type is EventType.RESOLVED:
                self._take(event.alert.key, -1)
        if len(self._asked) > before:
            self.wanted()

    def watched(self) -> set[str]:
        """Return the hosts that are to be counted now, and those that always are."""
        asked, self._asked = self._asked, set()
        return asked | self._near | self._flooded

    def counted(self, host_id: str, count: int, *, is_flooded: bool) -> None:
        """Take note of what the database holds: `count` open alerts, at most the limit.

        What was committed here meanwhile may be missing in it. It is asked for again when a
        quarter of the room that is left has been used.
        """
        self._set(host_id, count)
        if count:
            self._count_at[host_id] = count + max(1, (self.limit - count) // 4)
        self.flooded(host_id, is_flooded=is_flooded)

    def flooded(self, host_id: str, *, is_flooded: bool) -> None:
        """Take note that an alert_flood stands for a host, or does so no longer."""
        if is_flooded:
            self._flooded.add(host_id)
        else:
            self._flooded.discard(host_id)

    def forget(self) -> None:
        """Forget hosts that are far from the limit, when there are very many."""
        if len(self._open) > _HOSTS:
            self._open = {host_id: self._open[host_id] for host_id in self._near}
            self._count_at = {host_id: self._count_at.get(host_id, 0) for host_id in self._near}

    def _take(self, key: Key, step: int) -> None:
        host_id = key.host_id
        if key.kind == ALERT_FLOOD:
            self.flooded(host_id, is_flooded=step > 0)
            return
        count = self._open.get(host_id, 0) + step
        self._set(host_id, count)
        if step > 0 and count >= self._count_at.get(host_id, self.limit // 8):
            self._asked.add(host_id)

    def _set(self, host_id: str, count: int) -> None:
        if count > 0:
            self._open[host_id] = count
        else:
            self._open.pop(host_id, None)
            self._count_at.pop(host_id, None)
        if count >= self.limit // 2:
            self._near.add(host_id)
        else:
            self._near.discard(host_id)


def _nobody() -> None:
    """Nobody counts."""
