"""The clock jumps by an hour and a year, both ways: nothing is stuck afterwards."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from support.alert import running_alert
from support.clock import START, ManualClock
from support.notify import running_notify
from support.notify_ground import AGAIN, OK, Ground
from support.receiver import running_receiver
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import backup_service_pb2 as hosts_pb
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, NotifyClient
from tocsin.notify.domain.delivery import DeliveryState

if TYPE_CHECKING:
    from support.alert import RunningAlert
    from support.figures import Figures
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
JUMPS = (HOUR, YEAR, -HOUR, -YEAR)
MANY = 8
_UNDER_WAY = "SELECT count(*) FROM deliveries WHERE state <> $1"
jumps = pytest.mark.parametrize("jump", JUMPS, ids=["hour", "year", "back-hour", "back-year"])


async def raise_one(alert: RunningAlert, key: str) -> int:
    request = pb.RaiseOrTouchRequest(host_id="nas", kind="backup_failed", dedup_key=key)
    return (await alert.alerts.RaiseOrTouch(request)).outcome


async def clear_one(alert: RunningAlert, key: str) -> int:
    request = pb.AutoResolveRequest(host_id="nas", kind="backup_failed", dedup_key=key)
    return (await alert.alerts.AutoResolve(request)).outcome


@jumps
async def test_no_key_is_poisoned_by_what_was_reported_while_the_clock_was_wrong(
    alert_url: str, clock: ManualClock, jump: timedelta
) -> None:
    async with running_alert(alert_url, clock=clock) as alert:
        await raise_one(alert, "before")
        clock.advance(jump)
        for key in ("before", "raised", "cleared"):
            await raise_one(alert, key)
            clock.advance(seconds=1)
        await clear_one(alert, "cleared")
        clock.set(START + timedelta(minutes=1))

        healed = [await clear_one(alert, key) for key in ("before", "raised")]
        clock.advance(seconds=1)
        again = [await raise_one(alert, key) for key in ("before", "raised", "cleared")]

    assert [pb.CLEAR_OUTCOME_RESOLVED] * 2 == healed
    assert [pb.RAISE_OUTCOME_RAISED] * 3 == again


@jumps
async def test_a_host_that_was_heard_while_the_clock_was_wrong_is_missed_when_it_falls_silent(
    alert_url: str, clock: ManualClock, jump: timedelta
) -> None:
    async def is_offline() -> bool:
        page = await alert.alerts.ListAlerts(pb.ListAlertsRequest(kinds=["agent_offline"]))
        return bool(page.alerts)

    async with running_alert(alert_url, clock=clock) as alert:
        await alert.backups.PutHost(hosts_pb.PutHostRequest(host_id="nas"))
        clock.advance(jump)
        await alert.backups.ReportHeartbeat(hosts_pb.ReportHeartbeatRequest(host_id="nas"))
        clock.set(START + timedelta(minutes=1))
        await alert.backups.ReportHeartbeat(hosts_pb.ReportHeartbeatRequest(host_id="nas"))
        clock.advance(HOUR)
        await eventually(is_offline)


@jumps
async def test_a_jump_takes_each_delivery_from_its_sender_at_most_once(
    notify_database: Database, clock: ManualClock, jump: timedelta
) -> None:
    ground = Ground(notify_database, clock)
    queue = ground.queue()
    channel_id = await ground.channel()
    await ground.raised(*range(1, MANY + 1))
    held = await queue.claim(channel_id, MANY)

    clock.advance(jump)
    assert MANY == await queue.reclaim_lost()
    assert 0 == await queue.reclaim_lost()
    clock.advance(timedelta(minutes=1))
    anew = await queue.claim(channel_id, MANY)
    assert 0 == await queue.reclaim_lost()

    assert [False] * MANY == [await queue.settle(each, OK) for each in held]
    assert [True] * MANY == [await queue.settle(each, OK) for each in anew]


@jumps
async def test_no_retry_is_lost(
    notify_database: Database, clock: ManualClock, jump: timedelta
) -> None:
    """Failures before and after the jump; then the clock is right again."""
    ground = Ground(notify_database, clock)
    channel_id = await ground.channel()
    await ground.raised(1)
    [claim] = await ground.queue().claim(channel_id, MANY)
    await ground.queue().settle(claim, AGAIN)
    clock.advance(jump)
    await ground.raised(2)
    for claim in await ground.queue().claim(channel_id, MANY):
        await ground.queue().settle(claim, AGAIN)
    watching = ground.queue()
    await watching.disbelieve_future()
    clock.set(START + timedelta(minutes=10))

    await watching.disbelieve_future()
    for claim in await watching.claim(channel_id, MANY):
        assert await watching.settle(claim, OK)

    assert [DeliveryState.DELIVERED] * 2 == await ground.states(channel_id)


async def test_what_a_former_process_left_for_next_year_is_sent_now(
    notify_database: Database, clock: ManualClock
) -> None:
    ground = Ground(notify_database, clock)
    channel_id = await ground.channel()
    clock.advance(YEAR)
    await ground.raised(1)
    clock.set(START)

    assert [] == await ground.queue().claim(channel_id, MANY)
    assert 1 == await ground.queue().disbelieve_future()
    assert 1 == len(await ground.queue().claim(channel_id, MANY))


async def all_settled(notify_url: str) -> bool:
    connection = await asyncpg.connect(notify_url)
    try:
        return not await connection.fetchval(_UNDER_WAY, DeliveryState.DELIVERED)
    finally:
        await connection.close()


@pytest.mark.parametrize("count", [4, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
async def test_both_services_go_on_telling_over_many_jumps(
    alert_url: str,
    notify_url: str,
    clock: ManualClock,
    *,
    seed: int,
    figures: Figures,
    count: int,
) -> None:
    """Each service's clock jumps by itself; every alert is told, once."""
    dice = random.Random(seed)
    other = ManualClock()
    async with (
        running_receiver() as receiver,
        running_alert(alert_url, clock=clock) as alert,
        running_notify(notify_url, alert.target, clock=other, flap_raises=0) as notify,
        NotifyClient(f"127.0.0.1:{notify.port}") as steering,
        AlertClient(alert.target) as alerts,
    ):
        webhook = WebhookConfig(url=receiver.url)
        await steering.create_channel(Channel(display_name="on call", webhook=webhook))
        for number in range(count):
            for each in (clock, other):
                # There and back, so that years do not add up past the end of the calendar.
                each.set(START + dice.choice((timedelta(), *JUMPS)) + timedelta(seconds=number))
            await alerts.raise_or_touch("nas", "backup_failed", str(number))
            await receiver.wait_for(number + 1)
            # What is under way at a jump may come twice.
            await eventually(lambda: all_settled(notify_url))

        bodies = [each.json["data"]["alert"]["dedup_key"] for each in receiver.requests]
    assert Counter(map(str, range(count))) == Counter(bodies)
    figures.record(fault="clocks", seed=seed, jumps=2 * count, told=len(bodies), told_twice=0)
