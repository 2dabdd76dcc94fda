"""A channel that fails is an alert, raised in the alert service and told through the others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.alert import running_alert
from support.notify import running_notify
from support.notify_ground import AGAIN, OK, Ground
from support.recording_sender import RecordingSender
from support.waiting import eventually
from support.watching_notify import ScriptedCalls
from tocsin.api.alert.v1.alert_service_pb2 import ListAlertsRequest, RaiseOrTouchRequest
from tocsin.common.clock import SystemClock
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.domain.notification import EventType
from tocsin.notify.sweep.channel_failures import ChannelFailureSweep

if TYPE_CHECKING:
    from uuid import UUID

    from support.clock import ManualClock
    from support.recording_sender import Sent
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.delivery import Receipt

pytestmark = pytest.mark.postgres

AFTER = timedelta(minutes=5)
ONCE = RetrySchedule((timedelta(),))


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


@pytest.fixture
def calls() -> ScriptedCalls:
    return ScriptedCalls()


@pytest.fixture
def sweep(ground: Ground, calls: ScriptedCalls, clock: ManualClock) -> ChannelFailureSweep:
    return ChannelFailureSweep(ground.database, calls, clock=clock, after=AFTER)


async def open_breaker(ground: Ground, channel_id: UUID, clock: ManualClock) -> None:
    await ground.rows(
        "INSERT INTO channel_states (channel_id, breaker, failing_since, last_error)"
        " VALUES ($1, 2, $2, '500 Oops')",
        *(channel_id, clock.now()),
    )


async def test_a_channel_that_fails_for_long_is_raised_once_and_resolved_when_it_works(
    ground: Ground, calls: ScriptedCalls, sweep: ChannelFailureSweep, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    await open_breaker(ground, channel_id, clock)

    await sweep.step()
    assert [] == calls.asked
    clock.advance(AFTER)
    await sweep.step()
    await sweep.step()
    assert [
        "raise channel 1: Nothing was accepted since 2026-01-01 00:00:00 UTC: 500 Oops"
    ] == calls.asked

    await ground.rows("UPDATE channel_states SET breaker = 1, failing_since = NULL")
    await sweep.step()
    await sweep.step()
    assert [f"resolve {channel_id}"] == calls.asked[1:]


async def test_it_is_raised_later_when_the_alert_service_is_away(
    ground: Ground, calls: ScriptedCalls, sweep: ChannelFailureSweep, clock: ManualClock
) -> None:
    await open_breaker(ground, await ground.channel(), clock)
    clock.advance(AFTER)
    calls.away = True
    await sweep.step()

    calls.away = False
    await sweep.step()

    assert 1 == len(calls.asked)


async def test_what_was_given_up_counts_until_something_is_accepted(
    ground: Ground, calls: ScriptedCalls, sweep: ChannelFailureSweep, clock: ManualClock
) -> None:
    channel_id = await ground.channel()

    async def send(number: int, receipt: Receipt) -> None:
        clock.advance(seconds=1)
        await ground.raised(number)
        queue = ground.queue(ONCE)
        (claim,) = await queue.claim(channel_id, 1)
        await queue.settle(claim, receipt)
        await sweep.step()

    await send(1, OK)
    assert [] == calls.asked
    await send(2, AGAIN)
    assert [] == calls.asked
    clock.advance(AFTER)
    await sweep.step()
    assert [
        (
            "raise channel 1: A message was given up, and nothing accepted since."
            " Given up after 1 attempt. The last one: 503 Service Unavailable"
        )
    ] == calls.asked
    await send(3, OK)
    assert [f"resolve {channel_id}"] == calls.asked[1:]


async def test_a_channel_that_its_far_side_has_disabled_fails(
    ground: Ground, calls: ScriptedCalls, sweep: ChannelFailureSweep
) -> None:
    channel_id = await ground.channel()
    await ground.channels.disable(channel_id, "410 Gone", version=1)

    await sweep.step()

    assert ["raise channel 1: The channel was disabled by its far side: 410 Gone"] == calls.asked


async def test_one_that_people_disable_or_delete_does_not_fail(
    ground: Ground, calls: ScriptedCalls, sweep: ChannelFailureSweep, clock: ManualClock
) -> None:
    disabled, deleted = await ground.channel(), await ground.channel()
    for channel_id in (disabled, deleted):
        await open_breaker(ground, channel_id, clock)
    clock.advance(AFTER)
    await sweep.step()
    assert 2 == len(calls.asked)

    await ground.rows("UPDATE channels SET enabled = false WHERE channel_id = $1", disabled)
    await ground.channels.delete(deleted)
    await sweep.step()
    await sweep.step()

    assert {f"resolve {disabled}", f"resolve {deleted}"} == set(calls.asked[2:])
    assert 4 == len(calls.asked)


async def test_a_failing_channel_is_told_through_the_others_only(
    notify_url: str, notify_database: Database, alert_url: str
) -> None:
    ground = Ground(notify_database, SystemClock())
    failing, working = await ground.channel(), await ground.channel()

    async def answer(sent: Sent) -> Receipt:
        return AGAIN if sent.channel_id == failing else OK

    sender = RecordingSender(answer)
    async with (
        running_alert(alert_url) as alert,
        running_notify(
            notify_url,
            alert.target,
            senders=sender,  # type: ignore[arg-type]  # it stands in for all of them
            retry_seconds=(0, 600),
            breaker_failures=1,
            channel_failing_after_seconds=0,
        ) as app,
    ):
        del app
        await alert.alerts.RaiseOrTouch(
            RaiseOrTouchRequest(host_id="web-1", kind="backup_failed", severity=2)  # type: ignore[arg-type]  # a plain number
        )

        def told(channel_id: UUID) -> list[tuple[str, EventType]]:
            return [
                (sent.notification.alert.kind, sent.notification.type)
                for sent, _ in sender.ended
                if sent.channel_id == channel_id
            ]

        await eventually(lambda: ("channel_failing", EventType.RAISED) in told(working))
        (found,) = (
            await alert.alerts.ListAlerts(ListAlertsRequest(kinds=["channel_failing"]))
        ).alerts
        assert ("tocsin-notify", str(failing)) == (found.host_id, found.dedup_key)
        assert {"backup_failed"} == {kind for kind, _ in told(failing)}
