"""The lane lets a batch grow while that is worth it, and holds up nobody for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support.ledgers import Sizes, new_ledger, raising, running_ledger, turns
from support.observed import failure
from support.waiting import eventually
from tocsin.alert.domain.key import Key
from tocsin.alert.ledger.gathering import Gathering
from tocsin.common.errors import UnavailableError

if TYPE_CHECKING:
    from tocsin.alert.ledger.commands import RaiseOrTouch
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres


class ForThree(Gathering):
    """Waits for three commands, for `for_seconds`."""

    def __init__(self, for_seconds: float = 600.0) -> None:
        super().__init__()
        self._for_seconds = for_seconds
        self.of = 3

    @property
    def wanted(self) -> int:
        return self.of

    @property
    def seconds(self) -> float:
        return self._for_seconds


def raises(number: int) -> RaiseOrTouch:
    return raising(failure(0, key=Key(f"host-{number}", "backup_failed", "")))


async def test_a_batch_is_written_when_as_many_wait_as_are_wanted(
    alert_database: Database,
) -> None:
    sizes = Sizes()
    options: dict[str, Any] = {"gathering": ForThree(), "observer": sizes}
    async with running_ledger(alert_database, **options) as ledger:
        first = [asyncio.ensure_future(ledger.submit(raises(number))) for number in range(2)]
        await turns()
        while_two_waited = ledger.waiting
        await asyncio.gather(*first, ledger.submit(raises(2)))

    assert 2 == while_two_waited
    assert [3] == sizes


async def test_a_batch_is_written_with_fewer_when_its_time_is_over(
    alert_database: Database,
) -> None:
    sizes = Sizes()
    options: dict[str, Any] = {"gathering": ForThree(0.001), "observer": sizes}
    async with running_ledger(alert_database, **options) as ledger:
        await ledger.submit(raises(0))

    assert [1] == sizes


async def test_a_stop_does_not_wait_for_more_commands(alert_database: Database) -> None:
    sizes = Sizes()
    ledger = new_ledger(alert_database, gathering=ForThree(), observer=sizes)
    await ledger.start()
    waits = asyncio.ensure_future(ledger.submit(raises(0)))
    await eventually(lambda: ledger.waiting == 1)
    await turns()
    await ledger.stop()

    await waits
    assert [1] == sizes


async def test_a_lane_that_was_broken_off_while_it_gathered_begins_anew(
    alert_database: Database,
) -> None:
    gathering = ForThree()
    ledger = new_ledger(alert_database, gathering=gathering)
    await ledger.start()
    broken_off = asyncio.ensure_future(ledger.submit(raises(0)))
    await turns()
    # The lane of a stop that was cancelled ends by itself, whatever it was about.
    assert ledger._lane is not None
    ledger._lane.cancel()
    with pytest.raises(UnavailableError):
        await broken_off
    await turns()

    await ledger.start()
    gathering.of = 1
    await turns()
    await ledger.submit(raises(1))
    await ledger.stop()


async def test_no_batch_waits_for_more_than_it_may_hold(alert_database: Database) -> None:
    sizes = Sizes()
    options: dict[str, Any] = {"gathering": ForThree(), "observer": sizes, "max_batch": 2}
    async with running_ledger(alert_database, **options) as ledger:
        await asyncio.gather(*(ledger.submit(raises(number)) for number in range(4)))

    assert [2, 2] == sizes
