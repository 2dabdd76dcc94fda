"""Whatever strikes, each key goes through its calls as if they had come one after the other."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from support.key_histories import KeyHistory
from support.key_model import KeyState, after
from support.linearizability import order_of
from support.strikes import striking, two_replicas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.figures import Figures
    from support.strikes import Strikes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

FEW, ALL = 200, 10_000
AT_ONCE = 32
LEAST_SHARE_STRUCK = 0.3


@dataclass
class Seen:
    """What came of the histories so far."""

    histories: int = 0
    calls: int = 0
    unanswered: int = 0
    cancelled: int = 0
    struck: int = 0
    illegal: list[str] = field(default_factory=list)

    def note(self, history: KeyHistory, strikes: Strikes) -> None:
        taken = history.taken
        first = min(each.call.began for each in taken)
        moments = [moment for moment in strikes.moments if moment >= first]
        self.histories += 1
        self.calls += len(taken)
        self.unanswered += sum(not each.call.is_answered for each in taken)
        self.cancelled += sum(each.was_cancelled for each in taken)
        self.struck += any(each.was_under_way_at(moments) for each in taken)
        if order_of(history.calls, KeyState(), after) is None:
            self.illegal.append(history.told())


@pytest.mark.parametrize("count", [FEW, pytest.param(ALL, marks=pytest.mark.long)])
async def test_every_history_of_a_key_has_an_order_whatever_strikes_it(
    alert_url: str, tmp_path: Path, seed: int, figures: Figures, count: int
) -> None:
    seen = Seen()
    numbers = iter(range(count))
    async with (
        two_replicas(alert_url, tmp_path, random.Random(seed)) as strikes,
        striking(strikes),
    ):
        await asyncio.gather(*(_run(numbers, seed, strikes, seen) for _ in range(AT_ONCE)))

    figures.record(
        fault="histories",
        seed=seed,
        histories=seen.histories,
        calls=seen.calls,
        illegal=len(seen.illegal),
        overlapping_a_fault=seen.struck,
        unanswered_calls=seen.unanswered,
        cancelled_calls=seen.cancelled,
        **strikes.counts,
    )
    assert [] == seen.illegal
    assert seen.struck >= LEAST_SHARE_STRUCK * count


async def _run(numbers: Iterator[int], seed: int, strikes: Strikes, seen: Seen) -> None:
    stubs = [replica.alerts for replica in strikes.replicas]
    for number in numbers:
        history = KeyHistory(seed, number, stubs)
        await history.run()
        seen.note(history, strikes)
