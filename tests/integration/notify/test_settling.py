"""Attempts that end together are settled together, each as if it were alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from support.alert_stubs import an_alert, an_event
from support.notify_ground import AGAIN, OK, Ground
from tocsin.common.errors import UnavailableError
from tocsin.notify.delivery.retry import DEFAULT_SCHEDULE, RetrySchedule, after_attempt
from tocsin.notify.delivery.settling import Settlement, Settlements
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.delivery.queue import Claim

pytestmark = pytest.mark.postgres

UNSURE = Receipt(AttemptOutcome.AMBIGUOUS, 0, "connection reset")
DUE = "SELECT next_attempt_time FROM deliveries WHERE channel_id = $1 ORDER BY sequence"


class Counted:
    """A database that counts how often a connection is lent, and can be away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.lent = 0
        self.is_away = False
        self.breaks_at = ""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        if self.is_away:
            raise UnavailableError("The database does not answer.")
        self.lent += 1
        async with self._database.connection() as connection:
            yield _Fragile(connection, self.breaks_at) if self.breaks_at else connection


class _Fragile:
    """A connection that breaks at what begins so."""

    def __init__(self, connection: asyncpg.Connection, breaks_at: str) -> None:
        self._connection = connection
        self._breaks_at = breaks_at

    async def fetch(self, query: str, *arguments: Any) -> Any:
        if query.lstrip().startswith(self._breaks_at):
            raise UnavailableError("The database does not answer.")
        return await self._connection.fetch(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        return await self._connection.fetchval(query, *arguments)


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


@pytest.fixture
def database(notify_database: Database) -> Counted:
    return Counted(notify_database)


@pytest.fixture
def settlements(database: Counted) -> Settlements:
    return Settlements(database)  # type: ignore[arg-type]  # connection() is all that is used


def settlement(claim: Claim, receipt: Receipt, clock: ManualClock) -> Settlement:
    verdict = after_attempt(
        receipt, retry_count=claim.retry_count, schedule=DEFAULT_SCHEDULE, now=clock.now(), roll=0.5
    )
    return Settlement(claim.delivery_id, claim.token, receipt, verdict, clock.now())


async def test_what_ends_together_is_written_by_few_statements_and_each_gets_its_own_end(
    ground: Ground, settlements: Settlements, database: Counted, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await ground.raised(*range(1, 51))
    claims = await ground.queue().claim(channel_id, 50)
    given = [
        settlement(claim, Receipt(AttemptOutcome.DELIVERED, 200 + number), clock)
        for number, claim in enumerate(claims)
    ]
    stranger = replace(given[0], delivery_id=given[1].delivery_id, token=uuid4())

    held = await asyncio.gather(*map(settlements.settle, [*given, stranger]))

    assert [True] * 50 + [False] == held
    assert 2 >= database.lent
    for number, claim in enumerate(claims):
        delivery, [attempt] = await ground.deliveries.get(claim.delivery_id)
        assert (DeliveryState.DELIVERED, 200 + number) == (delivery.state, attempt.status_code)


async def test_one_that_the_database_refuses_is_refused_alone(
    ground: Ground, settlements: Settlements, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1, 2, 3)
    good, bad, last = (
        settlement(claim, OK, clock) for claim in await ground.queue().claim(channel_id, 3)
    )
    bad = replace(bad, verdict=replace(bad.verdict, retry_count=1 << 40))

    first = asyncio.create_task(settlements.settle(good))
    refused = asyncio.create_task(settlements.settle(bad))

    assert await settlements.settle(last)
    assert await first
    with pytest.raises(asyncpg.DataError):
        await refused


async def test_all_who_wait_are_told_that_the_database_is_away(
    ground: Ground, settlements: Settlements, database: Counted, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1, 2)
    given = [settlement(claim, OK, clock) for claim in await ground.queue().claim(channel_id, 2)]
    database.is_away = True

    failures = await asyncio.gather(*map(settlements.settle, given), return_exceptions=True)
    database.is_away = False

    assert [UnavailableError] * 2 == [type(failure) for failure in failures]
    assert [True, True] == await asyncio.gather(*map(settlements.settle, given))


async def test_what_was_settled_before_the_database_went_away_is_told_as_settled(
    ground: Ground, database: Counted, settlements: Settlements, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1, 2)
    arrived, failed = await ground.queue().claim(channel_id, 2)
    database.breaks_at = "WITH given"  # what did not arrive is settled after what did
    pair = settlement(arrived, OK, clock), settlement(failed, AGAIN, clock)

    ends = await asyncio.gather(*map(settlements.settle, pair), return_exceptions=True)
    database.breaks_at = ""

    assert (True, UnavailableError) == (ends[0], type(ends[1]))
    assert [DeliveryState.DELIVERED, DeliveryState.SENDING] == await ground.states(channel_id)
    assert await settlements.settle(pair[1])


async def test_what_nobody_waits_for_any_more_is_settled_all_the_same(
    ground: Ground, settlements: Settlements, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1, 2)
    first, second = (
        settlement(claim, OK, clock) for claim in await ground.queue().claim(channel_id, 2)
    )
    given_up = asyncio.create_task(settlements.settle(first))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await settlements.settle(second)

    assert [DeliveryState.DELIVERED] * 2 == await ground.states(channel_id)


async def due(ground: Ground, channel_id: UUID) -> list[object]:
    return [row[0] for row in await ground.rows(DUE, channel_id)]


async def test_what_waits_behind_a_retry_takes_its_place_and_its_time(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id, other = await ground.channel(), await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 8)
    await ground.resolved(1)
    await queue.settle(claim, AGAIN)
    await ground.changed(1, 4)
    await ground.raised(2)

    retry = clock.now() + timedelta(seconds=5)
    assert [None, None, retry, clock.now()] == await due(ground, channel_id)
    assert [None, None, clock.now(), clock.now()] == await due(ground, other)


async def test_a_retry_that_newer_news_replace_ends_as_superseded_by_them(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue()
    await ground.raised(1)
    [claim] = await queue.claim(channel_id, 8)
    await ground.changed(1, 2)
    await queue.settle(claim, UNSURE)

    [old, new] = await ground.of(channel_id)
    assert (DeliveryState.SUPERSEDED, clock.now()) == (old.state, old.settle_time)
    assert [(30, new.delivery_id)] == await ground.rows(
        "SELECT reason, held_by FROM deliveries WHERE delivery_id = $1", old.delivery_id
    )
    assert [(True, 1)] == await ground.rows(
        "SELECT t.maybe_told, d.collapsed_count FROM tellings t JOIN deliveries d"
        " USING (channel_id, alert_id) WHERE d.delivery_id = $1",
        new.delivery_id,
    )


async def test_newer_news_that_come_while_it_is_settled_are_never_lost(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    queue = ground.queue(RetrySchedule((timedelta(),) * 60, jitter=0))
    await ground.raised(*range(1, 9))
    for _ in range(20):
        claims = await queue.claim(channel_id, 8)
        assert 8 == len(claims)
        news = (an_event(ground.next(), an_alert(number), 2) for number in range(1, 9))

        await asyncio.gather(
            ground.take_in(*news), *(queue.settle(claim, UNSURE) for claim in claims)
        )

    waiting = [each for each in await ground.of(channel_id) if not each.settle_time]
    assert 8 == len(waiting)
    assert list(range(161, 169)) == [each.revision for each in waiting]
