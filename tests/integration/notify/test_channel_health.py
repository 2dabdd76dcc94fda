"""No attempt is used up on a far side that is down; and how channels are can be asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from support.notify_ground import AGAIN, LEASE, OK, Ground
from support.statements import RecordingDatabase, plan_of
from support.storms import FarSide
from tocsin.api.notify.v1 import channel_health_pb2 as stubs
from tocsin.api.notify.v1.channel_service_pb2 import ListChannelHealthRequest
from tocsin.api.notify.v1.decision_pb2 import DECISION_REASON_REFUSED
from tocsin.common.clock import SystemClock
from tocsin.common.errors import InvalidArgumentError, NotFoundError
from tocsin.common.postgres.engine import Database
from tocsin.common.rpc.times import to_timestamp
from tocsin.notify.delivery.breaker import BreakerRule
from tocsin.notify.delivery.health import SUCCESS_STEP, HealthRecord, record
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt
from tocsin.notify.domain.health import Breaker, BreakerState
from tocsin.notify.rpc.channel_health import list_channel_health
from tocsin.notify.store import channel_states
from tocsin.notify.store.channel_health import ChannelHealthStore

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.notify.delivery.queue import Claim

pytestmark = pytest.mark.postgres

SECONDS = timedelta(seconds=1)
RULE = BreakerRule(failures=5)

# 3 is DELIVERED.
DELIVERED = """
INSERT INTO deliveries (delivery_id, event_id, channel_id, alert_id, sequence, state, state_reason,
                        attempt_count, retry_count, maybe_told, create_time, settle_time)
SELECT gen_random_uuid(), gen_random_uuid(), $1, gen_random_uuid(), -n, 3, '', 1, 0, true, now(),
       now()
  FROM generate_series(1, 20000) n
"""
REFUSED = Receipt(AttemptOutcome.REFUSED, 404, "404 Not Found")
SLOWLY = Receipt(AttemptOutcome.RETRY, 429, "429 Too Many Requests", 90 * SECONDS)
UNSAID = Receipt(AttemptOutcome.RETRY, 429, "429 Too Many Requests")


class Attended(FarSide):
    """A far side whose answers are recorded as the worker does it."""

    async def attend(self, claim: Claim, receipt: Receipt) -> None:
        assert await self.queue.settle(claim, receipt)
        await record(
            self.queue._database,
            self.channel_id,
            [receipt],
            self.clock.now(),
            RULE,
        )


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


@pytest.fixture
async def far_side(ground: Ground, clock: ManualClock) -> Attended:
    return Attended(ground.queue(), await ground.channel(), clock)


async def opened(ground: Ground, far_side: Attended) -> None:
    """Let five of eight messages fail; the others are still waiting."""
    await ground.raised(*range(1, 9))
    for claim in await far_side.take(5):
        await far_side.attend(claim, AGAIN)


async def breaker_of(ground: Ground, channel_id: UUID) -> Breaker:
    async with ground.database.transaction() as connection:
        return (await channel_states.lock(connection, channel_id)).breaker


async def attempts(ground: Ground) -> int:
    [[count]] = await ground.rows("SELECT count(*) FROM attempts")
    assert isinstance(count, int)
    return count


async def test_no_attempt_is_used_up_while_the_breaker_is_open(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await opened(ground, far_side)
    clock.advance(4 * SECONDS)

    assert [] == await far_side.take()
    assert 5 == await attempts(ground)


async def test_then_one_message_at_a_time_is_tried_and_its_success_lets_all_others_go(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await opened(ground, far_side)
    clock.advance(5 * SECONDS)

    [probe] = await far_side.take()
    assert [] == await far_side.take()
    assert BreakerState.HALF_OPEN is (await breaker_of(ground, far_side.channel_id)).state
    await far_side.attend(probe, OK)

    assert 7 == len(await far_side.take())


async def test_a_try_that_fails_makes_the_next_one_later(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await opened(ground, far_side)
    for pause in (5, 5, 5):
        clock.advance(pause * SECONDS)
        [probe] = await far_side.take()
        await far_side.attend(probe, AGAIN)
    clock.advance(7 * SECONDS)

    assert [] == await far_side.take()
    assert 8 == await attempts(ground)


async def test_after_a_change_of_the_channel_one_message_is_tried_at_once(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await opened(ground, far_side)
    clock.advance(SECONDS)
    await ground.channels.update(
        far_side.channel_id, lambda channel, _: (replace(channel, display_name="mended"), None)
    )

    assert 1 == len(await far_side.take())


async def test_a_try_whose_worker_was_lost_is_made_again_after_its_lease(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await opened(ground, far_side)
    clock.advance(5 * SECONDS)
    [lost] = await far_side.take()
    clock.advance(LEASE)

    [again] = await far_side.take()

    assert lost.delivery_id != again.delivery_id


async def test_replicas_try_one_message_together(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await opened(ground, far_side)
    clock.advance(5 * SECONDS)

    taken = await asyncio.gather(*(ground.queue().claim(far_side.channel_id, 8) for _ in range(6)))

    assert 1 == sum(map(len, taken))


async def test_a_far_side_that_asks_for_patience_is_left_alone_until_then(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await ground.raised(*range(1, 9))
    [claim] = await far_side.take(1)
    await far_side.attend(claim, SLOWLY)
    clock.advance(89 * SECONDS)

    assert [] == await far_side.take()
    clock.advance(2 * SECONDS)
    assert 8 == len(await far_side.take())
    assert BreakerState.CLOSED is (await breaker_of(ground, far_side.channel_id)).state


async def test_one_that_does_not_say_for_how_long_is_left_alone_for_a_moment(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    await ground.raised(1, 2)
    [claim] = await far_side.take(1)
    await far_side.attend(claim, UNSAID)

    assert [] == await far_side.take()
    clock.advance(6 * SECONDS)
    assert 2 == len(await far_side.take())


async def test_successes_are_written_down_every_ten_seconds_only(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    health = HealthRecord(ground.database, far_side.channel_id, clock=clock, rule=RULE)
    first = clock.now()
    for _ in range(9):
        await health.note(OK)
        clock.advance(SECONDS)
    assert first == (await breaker_of(ground, far_side.channel_id)).last_success_time

    clock.set(first + SUCCESS_STEP)
    await health.note(OK)

    assert clock.now() == (await breaker_of(ground, far_side.channel_id)).last_success_time


async def test_a_failure_after_successes_is_written_down_at_once_and_the_next_success_too(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    health = HealthRecord(ground.database, far_side.channel_id, clock=clock, rule=RULE)
    await health.note(OK)
    await health.note(AGAIN)
    assert 1 == (await breaker_of(ground, far_side.channel_id)).failure_count

    await health.note(OK)

    assert 0 == (await breaker_of(ground, far_side.channel_id)).failure_count


async def test_without_a_database_an_attempt_is_over_all_the_same(clock: ManualClock) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none", application_name="tests")
    try:
        await HealthRecord(nowhere, UUID(int=1), clock=clock, rule=RULE).note(AGAIN)
    finally:
        await nowhere.close()


async def health_of(ground: Ground, channel_id: str = "") -> list[stubs.ChannelHealth]:
    request = ListChannelHealthRequest(channel_id=channel_id)
    response = await list_channel_health(ChannelHealthStore(ground.database), request)
    return list(response.channels)


async def test_the_health_of_a_channel_says_what_waits_and_why_it_was_given_up(
    ground: Ground, far_side: Attended, clock: ManualClock
) -> None:
    began = clock.now()
    await opened(ground, far_side)
    await ground.rows(
        "UPDATE deliveries SET state = 5, reason = 34, next_attempt_time = NULL"
        " WHERE delivery_id IN (SELECT delivery_id FROM deliveries ORDER BY sequence LIMIT 2)"
    )
    await ground.rows(
        "UPDATE deliveries SET state = 6, reason = 12"
        " WHERE delivery_id = (SELECT max(delivery_id::text)::uuid FROM deliveries)"
    )

    [health] = await health_of(ground, str(far_side.channel_id))

    now = to_timestamp(began)
    assert (
        stubs.ChannelHealth(
            channel_id=str(far_side.channel_id),
            channel_display_name="channel 1",
            breaker=stubs.BREAKER_STATE_OPEN,
            since_time=now,
            failure_count=5,
            probe_time=to_timestamp(began + 5 * SECONDS),
            last_error="503 Service Unavailable",
            last_error_time=now,
            pending_count=5,
            held_count=1,
            oldest_pending_time=now,
            dead=[stubs.DeadCount(reason=DECISION_REASON_REFUSED, count=2)],
        )
        == health
    )


async def test_a_channel_that_never_sent_is_well(ground: Ground) -> None:
    first, second = await ground.channel(), await ground.channel()

    channels = await health_of(ground)

    assert [str(first), str(second)] == [each.channel_id for each in channels]
    assert {stubs.BREAKER_STATE_CLOSED} == {each.breaker for each in channels}
    assert not channels[0].HasField("last_success_time")


async def test_a_deleted_channel_has_no_health(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.channels.delete(channel_id)

    assert [] == await health_of(ground)
    with pytest.raises(NotFoundError, match="No channel"):
        await health_of(ground, str(channel_id))


async def test_asking_costs_nothing_for_what_was_delivered(notify_url: str) -> None:
    database = RecordingDatabase(notify_url)
    ground = Ground(database, SystemClock())
    channel_id = await ground.channel()
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(DELIVERED, channel_id)
    await ground.rows("ANALYZE deliveries")
    database.statements.clear()
    await ChannelHealthStore(database).read()

    async with database.connection() as connection:
        for asked in database.statements:
            plan = await plan_of(connection, asked.query, *asked.arguments)
            assert "deliveries" not in plan.scanned_whole, asked.query
            met = [n for n in plan.nodes if n.get("Relation Name") == "deliveries"]
            assert 0 == sum(n["Actual Rows"] + n.get("Rows Removed by Filter", 0) for n in met)
    await database.close()


async def test_a_malformed_id_is_refused(ground: Ground) -> None:
    with pytest.raises(InvalidArgumentError):
        await health_of(ground, "the first one")


def test_the_states_are_those_of_the_contract() -> None:
    ours = {f"BREAKER_STATE_{state.name}": state.value for state in BreakerState}

    assert dict(stubs.BreakerState.items()) == {"BREAKER_STATE_UNSPECIFIED": 0, **ours}
