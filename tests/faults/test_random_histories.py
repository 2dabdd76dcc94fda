"""The contract of delivery holds in every history, whatever happens in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.histories import History

if TYPE_CHECKING:
    from support.clock import ManualClock
    from support.figures import Figures
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

FEW = 60
ALL = 2_000
PARTS = 8


async def problems(database: Database, clock: ManualClock, seeds: range) -> list[str]:
    return [problem for seed in seeds for problem in await History(database, clock, seed).run()]


async def test_the_contract_holds_in_some_histories(
    notify_database: Database, clock: ManualClock
) -> None:
    assert [] == await problems(notify_database, clock, range(FEW))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
async def test_the_contract_holds_in_each_of_two_thousand_histories(
    notify_database: Database, clock: ManualClock, figures: Figures, part: int
) -> None:
    seeds = range(FEW + part, FEW + ALL, PARTS)

    found = await problems(notify_database, clock, seeds)

    figures.record(fault="contract histories", histories=len(seeds), broken_promises=len(found))
    assert [] == found
