"""When very many commands wait, a second lane writes some beside the first, of other hosts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from support.ledgers import alerts_of, count_rows, events_of, new_ledger, raising, running_ledger
from support.locks import held, waits_for_a_lock
from support.observed import failure
from support.waiting import eventually
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import RaiseOutcome
from tocsin.alert.ledger.command_queue import PLENTY
from tocsin.alert.ledger.commands import Lapse, RaiseAnswer
from tocsin.common.errors import TocsinError
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.alert.ledger.call import Entry
    from tocsin.alert.ledger.commands import Command, Result
    from tocsin.alert.ledger.lane import Ledger

pytestmark = pytest.mark.postgres


def key(host_id: str, number: int = 0) -> Key:
    return Key(host_id, "backup_failed", f"{number:03}")


def raises(host_id: str, count: int = PLENTY) -> list[Command]:
    return [raising(failure(0, key=key(host_id, number))) for number in range(count)]


def outcomes(results: Sequence[Result]) -> set[RaiseOutcome | str]:
    return {
        result.outcome if isinstance(result, RaiseAnswer) else _reason(result) for result in results
    }


def _reason(result: Result) -> str:
    assert isinstance(result, TocsinError)
    return result.reason


def begin(ledger: Ledger, commands: list[Command]) -> asyncio.Task[list[Result]]:
    return asyncio.ensure_future(ledger.submit_many(commands))


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Sizes(list[int]):
    """How large each batch was."""

    def wrote(self, entries: Sequence[Entry], _seconds: float) -> None:
        self.append(len(entries))


async def test_plenty_of_commands_on_other_hosts_are_written_beside_a_batch(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database) as ledger:
        async with held(alert_database, key("a")):
            first = begin(ledger, raises("a", 1))
            await waits_for_a_lock(alert_database)
            others = await ledger.submit_many(raises("b"))
            was_first_done = first.done()
        results = await first

    assert not was_first_done
    assert {RaiseOutcome.RAISED} == outcomes(others) == outcomes(results)
    assert PLENTY + 1 == len(await events_of(alert_database))


@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param(raises("b", PLENTY - 1), id="too few to be worth a transaction"),
        pytest.param(raises("a"), id="reports of the same host"),
        pytest.param([*raises("b", 9), *raises("a")], id="few before reports of the same host"),
        pytest.param([Lapse(UUID(int=1)), *raises("b")], id="what is no report, and what follows"),
    ],
)
async def test_other_commands_wait_until_the_batch_at_work_is_written(
    alert_database: Database, waiting: list[Command]
) -> None:
    async with running_ledger(alert_database) as ledger:
        async with held(alert_database, key("a")):
            first = begin(ledger, raises("a", 1))
            await waits_for_a_lock(alert_database)
            others = begin(ledger, waiting)
            await turns()
            left = ledger.waiting
        await first
        await others

    assert len(waiting) == left


async def test_nothing_is_written_beside_a_command_that_is_no_report(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database) as ledger:
        async with held(alert_database, key("a")):
            first = begin(ledger, [Lapse(UUID(int=1)), *raises("a", 1)])
            await waits_for_a_lock(alert_database)
            others = begin(ledger, raises("b"))
            await turns()
            left = ledger.waiting
        await first
        await others

    assert PLENTY == left


async def test_a_host_is_written_of_by_one_lane_at_a_time(alert_database: Database) -> None:
    """The first lane is free again, but what is next belongs behind what the second has."""
    async with running_ledger(alert_database) as ledger:
        async with held(alert_database, key("b", 1)):
            async with held(alert_database, key("a")):
                first = begin(ledger, raises("a", 1))
                await waits_for_a_lock(alert_database)
                second = begin(ledger, raises("b"))
                await waits_for_a_lock(alert_database, 2)
                third = begin(ledger, raises("b", 1))
            await first
            await turns()
            left = ledger.waiting
        raised, touched = await second, await third

    assert 1 == left
    assert {RaiseOutcome.RAISED} == outcomes(raised)
    assert {RaiseOutcome.TOUCHED} == outcomes(touched)


async def test_while_the_second_lane_is_at_work_the_first_goes_on_with_other_hosts(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database) as ledger, held(alert_database, key("b", 1)):
        async with held(alert_database, key("a")):
            first = begin(ledger, raises("a", 1))
            await waits_for_a_lock(alert_database)
            second = begin(ledger, raises("b"))
            await waits_for_a_lock(alert_database, 2)
        await first
        third = await ledger.submit_many(raises("a", 2))
        was_second_done = second.done()

    await second
    assert not was_second_done
    assert [RaiseOutcome.TOUCHED, RaiseOutcome.RAISED] == [
        result.outcome for result in third if isinstance(result, RaiseAnswer)
    ]


@pytest.mark.parametrize(
    ("hosts", "sizes"), [(("a", "b"), [PLENTY, PLENTY]), (("a", "a"), [2 * PLENTY])]
)
async def test_a_large_batch_of_several_hosts_is_written_in_halves(
    alert_database: Database, hosts: tuple[str, str], sizes: list[int]
) -> None:
    written = Sizes()
    ledger = new_ledger(alert_database, observer=written)
    submission = begin(ledger, [command for host_id in hosts for command in raises(host_id)])
    await turns()
    await ledger.start()
    await submission
    await ledger.stop()

    assert sizes == written
    assert 0 == alert_database.in_use


async def test_of_more_than_two_batches_both_lanes_take_whole_ones(
    alert_database: Database,
) -> None:
    written = Sizes()
    ledger = new_ledger(alert_database, observer=written, max_batch=PLENTY)
    commands = [command for host_id in "abcdef" for command in raises(host_id, PLENTY // 2)]
    submission = begin(ledger, commands)
    await turns()
    await ledger.start()
    await submission
    await ledger.stop()

    assert [PLENTY] * 3 == written


async def test_without_a_second_connection_there_is_one_lane(alert_url: str) -> None:
    database = Database(alert_url, application_name="tests", pool_size=1)
    written = Sizes()
    async with running_ledger(database, observer=written) as ledger:
        await ledger.submit_many(raises("c", 1))
        results = await ledger.submit_many([*raises("a"), *raises("b")])
    await database.close()

    assert {RaiseOutcome.RAISED} == outcomes(results)
    assert [1, 2 * PLENTY] == written


async def test_a_stop_writes_what_both_lanes_have_and_what_waits(alert_database: Database) -> None:
    ledger = new_ledger(alert_database)
    await ledger.start()
    async with held(alert_database, key("a"), key("b")):
        submissions = [begin(ledger, raises("a", 1))]
        await waits_for_a_lock(alert_database)
        submissions += [begin(ledger, raises("b"))]
        await waits_for_a_lock(alert_database, 2)
        submissions += [begin(ledger, raises("b", 1))]
        await turns()
        stopping = asyncio.ensure_future(ledger.stop())
        await turns()
    results = await asyncio.gather(*submissions)
    await stopping

    assert [{RaiseOutcome.RAISED}, {RaiseOutcome.RAISED}, {RaiseOutcome.TOUCHED}] == [
        outcomes(each) for each in results
    ]


async def test_a_stop_that_is_cut_short_breaks_off_both_lanes(alert_database: Database) -> None:
    ledger = new_ledger(alert_database)
    await ledger.start()
    async with held(alert_database, key("a"), key("b")):
        submissions = [begin(ledger, raises("a", 1))]
        await waits_for_a_lock(alert_database)
        submissions += [begin(ledger, raises("b"))]
        await waits_for_a_lock(alert_database, 2)
        stopping = asyncio.ensure_future(ledger.stop())
        await turns()
        stopping.cancel()
        results = await asyncio.gather(*submissions)
        await asyncio.wait({stopping})

    assert [{"DATABASE_UNAVAILABLE"}] * 2 == [outcomes(each) for each in results]
    assert 0 == await count_rows(alert_database, "alerts")


async def test_lanes_without_work_give_their_connections_back(alert_database: Database) -> None:
    async with running_ledger(alert_database) as ledger:
        await ledger.submit_many([*raises("a"), *raises("b")])
        lent = alert_database.in_use

        async def rest() -> bool:
            return alert_database.in_use == 0

        await eventually(rest)

    assert 2 == lent
    assert 2 * PLENTY == len(await alerts_of(alert_database))


async def test_many_callers_with_few_hosts_are_answered_each_in_their_order(
    alert_database: Database,
) -> None:
    hosts = "abcdef"

    async def report(ledger: Ledger, number: int) -> list[Any]:
        told = []
        for turn in range(6):
            some = raises(hosts[(number + turn) % len(hosts)], PLENTY // 2)
            told += await ledger.submit_many(some)
        return told

    async with running_ledger(alert_database) as ledger:
        told = await asyncio.gather(*(report(ledger, number) for number in range(12)))

    alerts = await alerts_of(alert_database)
    assert len(hosts) * PLENTY // 2 == len(alerts) == len(await events_of(alert_database))
    assert {12} == {alert.occurrences for alert in alerts}
    for alert in alerts:
        seen = [
            answer.alert.occurrences
            for answers in told
            for answer in answers
            if answer.alert.alert_id == alert.alert_id
        ]
        assert list(range(1, 13)) == sorted(seen)
