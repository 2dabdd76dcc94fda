"""Watchers come and go while the log is compacted: they miss nothing, and see nothing twice."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from support.restless_watchers import LibraryWatcher, RawWatcher, Seen, watchers
from support.watch_ground import watch_ground

if TYPE_CHECKING:
    from support.figures import Figures
    from support.watch_ground import WatchGround
    from tocsin.common.postgres.engine import Database

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]

WATCHERS = 9
RESUMES_TO_A_COMPACTION = 6
RESUMES_TO_A_DRAIN = 60
ALL = pytest.param(10_000, 1_000, marks=[pytest.mark.long, pytest.mark.slow])


@pytest.mark.parametrize(("resumes", "compactions"), [(200, 20), ALL])
async def test_watchers_see_every_event_once_and_in_order_over_resumes_and_compactions(
    alert_database: Database, seed: int, figures: Figures, resumes: int, compactions: int
) -> None:
    seen = Seen()
    async with watch_ground(alert_database, random.Random(seed)) as ground:
        writing = asyncio.create_task(ground.write_on())
        dice = [random.Random(f"{seed}/{number}") for number in range(WATCHERS)]
        run = _Run(ground, seen, resumes, compactions)
        await asyncio.gather(*(run.go_on(each) for each in watchers(ground.channel, dice, seen)))
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        await ground.witness.look()

    seen.check(ground.witness)
    figures.record(
        fault="watchers",
        seed=seed,
        resumes=seen.resumes,
        compactions=ground.compactions,
        drains=ground.drains,
        violations=len(seen.violations),
        events_seen=seen.events,
        bookmarks=seen.bookmarks,
        snapshots=seen.snapshots,
        positions_compacted_away=seen.compacted,
    )
    assert [] == seen.violations[:10]
    assert min(seen.bookmarks, seen.snapshots, seen.compacted, ground.drains) > 0


class _Run:
    """Lets watchers resume, and compacts and drains at every so many of them."""

    def __init__(self, ground: WatchGround, seen: Seen, resumes: int, compactions: int) -> None:
        self._ground = ground
        self._seen = seen
        self._resumes = resumes
        self._compactions = compactions
        self._tried = 0

    def _is_over(self) -> bool:
        return self._seen.resumes >= self._resumes and self._ground.compactions >= self._compactions

    async def go_on(self, watcher: RawWatcher | LibraryWatcher) -> None:
        while not self._is_over():
            await watcher.one_stream()
            if self._seen.resumes // RESUMES_TO_A_COMPACTION > self._tried:
                self._tried += 1
                await self._ground.compact()
                if self._tried % (RESUMES_TO_A_DRAIN // RESUMES_TO_A_COMPACTION) == 0:
                    await self._ground.drain()
