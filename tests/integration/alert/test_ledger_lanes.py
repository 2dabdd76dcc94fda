"""When very many commands wait, a second lane writes some beside the first, of other hosts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from support.ledgers import (
    Sizes,
    alerts_of,
    count_rows,
    events_of,
    new_ledger,
    raising,
    running_ledger,
    turns,
)
from support.locks import held, waits_for_a_lock
from support.observed import failure
from support.waiting import eventually
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import RaiseOutcome
from tocsin.alert.ledger.command_queue import PLENTY
from tocsin.alert.ledger.commands import Lapse, RaiseAnswer
from tocsin.alert.ledger.gathering import Gathering
from tocsin.common.errors import TocsinError
from tocsin.common.postgres import connecting, engine
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.alert.ledger.commands import Command, Result
    from tocsin.alert.ledger.ledger import Ledger

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


async def begin_on_both(ledger: Ledger, database: Database) -> list[asyncio.Task[list[Result]]]:
    """Let the first lane wait for a held key of host a, and the second for one of host b."""
    first = begin(ledger, raises("a", 1))
    await waits_for_a_lock(database)
    second = begin(ledger, raises("b"))
    await waits_for_a_lock(database, 2)
    return [first, second]


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
        pytest.param([*raises("b", 9), *raises("a")], id="too few among reports of the same host"),
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


async def test_reports_of_other_hosts_need_not_wait_behind_those_of_a_host_at_work(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database) as ledger:
        async with held(alert_database, key("a")):
            first = begin(ledger, raises("a", 1))
            await waits_for_a_lock(alert_database)
            behind = begin(ledger, raises("a"))
            await turns()
            others = await ledger.submit_many(raises("b"))
            left = ledger.waiting
        results = [*await first, *await behind]

    assert PLENTY == left
    assert {RaiseOutcome.RAISED} == outcomes(others)
    assert {RaiseOutcome.RAISED, RaiseOutcome.TOUCHED} == outcomes(results)


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
                first, second = await begin_on_both(ledger, alert_database)
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
            first, second = await begin_on_both(ledger, alert_database)
        await first
        third = await ledger.submit_many(raises("a", 2))
        was_second_done = second.done()

    await second
    assert not was_second_done
    assert [RaiseOutcome.TOUCHED, RaiseOutcome.RAISED] == [
        result.outcome for result in third if isinstance(result, RaiseAnswer)
    ]


async def test_a_large_batch_of_several_hosts_is_written_in_halves_side_by_side(
    alert_database: Database,
) -> None:
    written = Sizes()
    ledger = new_ledger(alert_database, observer=written)
    submission = begin(ledger, [*raises("a"), *raises("b")])
    await turns()
    async with held(alert_database, key("a"), key("b")):
        await ledger.start()
        await waits_for_a_lock(alert_database, 2)
    await submission
    await ledger.stop()

    assert [PLENTY, PLENTY] == written
    assert 0 == alert_database.in_use


async def test_a_large_batch_of_one_host_is_written_whole(alert_database: Database) -> None:
    written = Sizes()
    ledger = new_ledger(alert_database, observer=written)
    submission = begin(ledger, raises("a", 2 * PLENTY))
    await turns()
    await ledger.start()
    await submission
    await ledger.stop()

    assert [2 * PLENTY] == written


async def test_of_more_than_two_batches_both_lanes_take_whole_ones(
    alert_database: Database,
) -> None:
    written = Sizes()
    ledger = new_ledger(alert_database, observer=written, max_batch=PLENTY)
    commands = [command for host_id in "abcdef" for command in raises(host_id, PLENTY // 2)]
    submission = begin(ledger, commands)
    await turns()
    async with held(alert_database, key("b"), key("d")):
        await ledger.start()
        await waits_for_a_lock(alert_database, 2)
    await submission
    await ledger.stop()

    assert [PLENTY] * 3 == written


async def test_the_second_lane_takes_one_batch_after_the_other(alert_database: Database) -> None:
    async with running_ledger(alert_database, max_batch=PLENTY) as ledger:
        async with held(alert_database, key("a")):
            first = begin(ledger, raises("a", 1))
            await waits_for_a_lock(alert_database)
            others = await ledger.submit_many([*raises("b"), *raises("c")])
        await first

    assert {RaiseOutcome.RAISED} == outcomes(others)


async def test_what_no_second_connection_can_be_made_for_is_written_by_the_first_lane(
    alert_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[asyncpg.Connection] = []
    connect = connecting.connect

    async def connect_once(*args: Any, **options: Any) -> Any:
        if made:
            raise asyncpg.TooManyConnectionsError("sorry, too many clients already")
        made.append(await connect(*args, **options))
        return made[0]

    monkeypatch.setattr(engine, "connect", connect_once)
    database = Database(alert_url, application_name="tests", pool_size=5)
    async with running_ledger(database) as ledger:
        await ledger.submit_many(raises("c", 1))
        results = await ledger.submit_many([*raises("a"), *raises("b")])
    await database.close()

    assert {RaiseOutcome.RAISED} == outcomes(results)


async def test_both_lanes_begin_once_a_batch_has_been_waited_for(alert_database: Database) -> None:
    class ForTwoBatches(Gathering):
        wanted = 2 * PLENTY
        seconds = 600.0

    async with running_ledger(alert_database, gathering=ForTwoBatches()) as ledger:
        async with held(alert_database, key("a"), key("b")):
            first = begin(ledger, raises("a"))
            await turns()
            second = begin(ledger, raises("b"))
            await waits_for_a_lock(alert_database, 2)
        results = [*await first, *await second]

    assert {RaiseOutcome.RAISED} == outcomes(results)


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
        submissions = await begin_on_both(ledger, alert_database)
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
        submissions = await begin_on_both(ledger, alert_database)
        stopping = asyncio.ensure_future(ledger.stop())
        await turns()
        stopping.cancel()
        results = await asyncio.gather(*submissions)
        await asyncio.wait({stopping})

    assert [{"DATABASE_UNAVAILABLE"}] * 2 == [outcomes(each) for each in results]
    assert 0 == await count_rows(alert_database, "alerts")


async def test_lanes_without_work_give_their_connections_back(alert_database: Database) -> None:
    async def rest() -> bool:
        return alert_database.in_use == 0

    async with running_ledger(alert_database) as ledger:
        async with held(alert_database, key("a"), key("b")):
            submission = begin(ledger, [*raises("a"), *raises("b")])
            await waits_for_a_lock(alert_database, 2)
            lent = alert_database.in_use
        await submission
        await eventually(rest)

    assert 3 == lent  # with the one that holds the locks


async def test_a_lane_that_waits_for_the_other_gives_its_connection_back(
    alert_database: Database,
) -> None:
    async def rests() -> bool:
        return alert_database.in_use == 2  # the second lane's, and the one that holds the lock

    async with running_ledger(alert_database) as ledger, held(alert_database, key("b")):
        async with held(alert_database, key("a")):
            first, second = await begin_on_both(ledger, alert_database)
            third = begin(ledger, raises("b", 1))
        await first
        await eventually(rests)
        was_third_done = third.done()

    assert not was_third_done
    await asyncio.gather(second, third)


async def test_calls_are_taken_on_while_a_lane_waits_for_the_database(
    alert_database: Database,
) -> None:
    """What waits is behind the first lane, which does not get on, though the second does."""
    seconds = 0.0

    async def is_behind() -> bool:
        return ledger.waiting == 2

    async with running_ledger(alert_database, monotonic=lambda: seconds) as ledger:
        async with held(alert_database, key("a")):
            calls = [begin(ledger, raises("a", 1))]
            await waits_for_a_lock(alert_database)
            async with held(alert_database, key("b")):
                calls += [begin(ledger, raises("b"))]
                await waits_for_a_lock(alert_database, 2)
                calls += [begin(ledger, [*raises("c"), *raises("a", 2)])]
                await turns()
                seconds = 3.0
            await eventually(is_behind)
            ledger.require_room()
        await asyncio.gather(*calls)


async def test_many_callers_with_few_hosts_are_answered_each_in_their_order(
    alert_database: Database,
) -> None:
    hosts = "abcdef"
    calls = []
    async with running_ledger(alert_database) as ledger:
        for turn in range(72):
            calls.append(begin(ledger, raises(hosts[turn % len(hosts)], PLENTY // 2)))
            await asyncio.sleep(0)
        told = await asyncio.gather(*calls)

    alerts = await alerts_of(alert_database)
    assert len(hosts) * PLENTY // 2 == len(alerts) == len(await events_of(alert_database))
    seen: defaultdict[Key, list[int]] = defaultdict(list)
    for answers in told:
        for answer in answers:
            assert isinstance(answer, RaiseAnswer)
            assert answer.alert is not None
            seen[answer.alert.key].append(answer.alert.occurrences)
    assert all(list(range(1, 13)) == counts for counts in seen.values())
