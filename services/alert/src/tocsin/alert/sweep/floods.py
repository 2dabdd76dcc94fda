"""Hosts near the limit of open alerts: they are counted, and floods that are over are ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.observation import Success
from tocsin.alert.engine.floods import end_of_flood, flood_key
from tocsin.alert.engine.people import SERVICE
from tocsin.alert.ledger.commands import AutoResolve
from tocsin.alert.store.floods import count_open, flooded_hosts

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.ledger import Ledger
    from tocsin.alert.store.floods import OpenCount
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

# How late the end of a flood may be found, or what other processes have raised or resolved.
REST = timedelta(seconds=2)
# Floods that another process raised are looked for so often: it ends them itself while it lives.
LOOK_AROUND = timedelta(seconds=30)
_INSTANT = timedelta(microseconds=1)


class FloodSweep:
    """Counts what the ledger of this process wants counted, and ends what has ended; a step for a
    BackgroundLoop.

    Several processes may sweep at once: the ledger ends a flood once, and only if it has counted
    nothing since it was looked at.
    """

    def __init__(self, database: Database, ledger: Ledger, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._looked: datetime | None = None

    async def step(self) -> timedelta:
        """Count the hosts that are near their limit, and return how long to rest."""
        floods = self._ledger.floods
        floods.forget()
        now = self._clock.now()
        async with self._database.connection() as connection:
            if self._looked is None or abs(now - self._looked) >= LOOK_AROUND:
                for host_id in await flooded_hosts(connection):
                    floods.flooded(host_id, is_flooded=True)
                self._looked = now
            watched = floods.watched()
            counts = await count_open(connection, watched, floods.limit) if watched else []
        for each in counts:
            is_flooded = each.flood_seen_time is not None
            floods.counted(each.host_id, each.open_alerts, is_flooded=is_flooded)
        await self._end(counts, now)
        return REST

    async def _end(self, counts: list[OpenCount], now: datetime) -> None:
        below = end_of_flood(self._ledger.floods.limit)
        ended = [
            _ended(each.host_id, max(now, each.flood_seen_time + _INSTANT))
            for each in counts
            if each.flood_seen_time is not None and each.open_alerts < below
        ]
        if ended:
            await self._ledger.submit_many(ended)


def _ended(host_id: str, time: datetime) -> AutoResolve:
    message = "The host has fewer open alerts again. What still fails is raised when it fails next."
    return AutoResolve(Success(flood_key(host_id), time, message), SERVICE)
