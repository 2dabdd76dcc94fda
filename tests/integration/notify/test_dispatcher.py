"""Workers deliver what is due, in order, and no channel waits for another."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from support.notify_ground import AGAIN, OK, Ground
from support.recording_sender import RecordingSender, Sent
from support.waiting import eventually
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_ACKNOWLEDGED
from tocsin.common.clock import SystemClock
from tocsin.common.postgres.engine import Database
from tocsin.notify.delivery.dispatcher import Dispatcher, DispatchOptions
from tocsin.notify.delivery.queue import DeliveryQueue
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.domain.channel import WebhookConfig
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt
from tocsin.notify.store.channels import ChannelStore
from tocsin.notify.store.sealing import Sealing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

pytestmark = pytest.mark.postgres

FAST = RetrySchedule(tuple(timedelta(seconds=seconds) for seconds in (0, 0.02, 0.02, 0.02)))
GONE = Receipt(AttemptOutcome.REFUSED, 410, "410 Gone", disable_channel=True)


@pytest.fixture
def ground(notify_database: Database) -> Ground:
    return Ground(notify_database, SystemClock())


async def at_once() -> bool:
    return True


@asynccontextmanager
async def dispatching(
    ground: Ground,
    sender: RecordingSender,
    *,
    database: Database | None = None,
    lease: timedelta = timedelta(seconds=30),
    concurrency: int = 8,
    grace: timedelta = timedelta(seconds=5),
    schedule: RetrySchedule = FAST,
    key: bytes = b"k" * 32,
    ready: Callable[[], Awaitable[bool]] = at_once,
) -> AsyncIterator[Dispatcher]:
    used, clock = database or ground.database, SystemClock()
    queue = DeliveryQueue(used, clock=clock, lease=lease, schedule=schedule, roll=lambda: 0.5)
    dispatcher = Dispatcher(
        queue,
        ChannelStore(used, Sealing(key), clock),
        sender,  # type: ignore[arg-type]  # of() and close() are all that is used
        clock=clock,
        options=DispatchOptions(lease, concurrency, grace),
        ready=ready,
    )
    await dispatcher.start()
    try:
        yield dispatcher
    finally:
        await dispatcher.stop()


async def until_finished(ground: Ground, *, within: float = 30) -> None:
    async def is_over() -> bool:
        return await ground.unfinished() == 0

    await eventually(is_over, within=within)


async def until_states(ground: Ground, channel_id: UUID, *states: DeliveryState) -> None:
    async def are_so() -> bool:
        return list(states) == await ground.states(channel_id)

    await eventually(are_so)


async def test_news_of_each_alert_come_in_order_over_two_replicas_with_failures(
    ground: Ground, notify_url: str
) -> None:
    channel_ids = [await ground.channel(), await ground.channel()]
    alerts, events = range(1, 13), 8
    chance = random.Random(7)

    async def moody(sent: Sent) -> Receipt:
        await asyncio.sleep(0)
        return AGAIN if chance.random() < 0.2 else OK

    sender = RecordingSender(moody)
    other = Database(notify_url, application_name="other")
    patient = RetrySchedule((timedelta(milliseconds=5),) * 40)
    async with (
        dispatching(ground, sender, schedule=patient) as first,
        dispatching(ground, sender, schedule=patient, database=other),
    ):
        for _ in range(events):
            for number in alerts:
                await ground.changed(number, ALERT_EVENT_TYPE_ACKNOWLEDGED)
            first.wake()
        await until_finished(ground)
    await other.close()

    accepted = defaultdict(list)
    for sent, receipt in sender.ended:
        if receipt is OK:
            accepted[sent.key].append(sent.notification)
    assert [] == sender.overlaps
    assert len(alerts) * len(channel_ids) == len(accepted)
    for told in accepted.values():
        revisions = [each.revision for each in told]
        assert sorted(set(revisions)) == revisions
        # What was not told by itself is told by the next one.
        assert events == sum(each.collapsed_count + 1 for each in told)
        assert revisions[-1] > len(alerts) * (events - 1)


async def test_attempts_of_one_alert_begin_in_the_order_of_its_events(ground: Ground) -> None:
    channel_id = await ground.channel()
    sender = RecordingSender()

    async with dispatching(ground, sender) as dispatcher:
        for count in range(1, 11):
            await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)
            dispatcher.wake()
            await sender.until(lambda count=count: len(sender.begun) == count)  # type: ignore[misc]
        await until_finished(ground)

    assert list(range(1, 11)) == sender.told(channel_id)


async def test_nothing_is_sent_before_all_that_there_is_has_been_taken_in(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    sender, known = RecordingSender(), asyncio.Event()

    async def is_known() -> bool:
        return known.is_set()

    async with dispatching(ground, sender, ready=is_known) as dispatcher:
        await eventually(lambda: dispatcher.works)
        for number in range(2, 12):
            await ground.raised(number)
            dispatcher.refresh()
        assert [] == sender.begun
        for number in range(1, 11):
            await ground.resolved(number)
        known.set()
        dispatcher.wake()
        await until_finished(ground)

    assert [11] == sender.told(channel_id)


async def test_a_channel_that_hangs_holds_its_own_places_only_and_delays_no_other(
    ground: Ground,
) -> None:
    stuck, healthy = await ground.channel(), await ground.channel()
    for number in range(1, 41):
        await ground.raised(number)
    release = asyncio.Event()

    async def hang(sent: Sent) -> Receipt:
        if sent.channel_id == stuck:
            await release.wait()
        return OK

    sender = RecordingSender(hang)
    async with dispatching(ground, sender):
        await sender.until(lambda: len(sender.told(healthy)) == 40 and len(sender.told(stuck)) >= 8)
        assert 8 == len(sender.told(stuck))
        release.set()
        await until_finished(ground)


async def test_a_far_side_that_never_accepts_ends_as_dead_and_the_next_news_are_tried(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)

    async def refuse(sent: Sent) -> Receipt:
        return AGAIN

    sender = RecordingSender(refuse)
    async with dispatching(ground, sender):
        await until_finished(ground)
        await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)
        await until_finished(ground)
        await ground.resolved(1)
        await until_finished(ground)

    assert [DeliveryState.DEAD, DeliveryState.DEAD, DeliveryState.SUPPRESSED] == (
        await ground.states(channel_id)
    )
    assert [1] * 4 + [2] * 4 == sender.told(channel_id)


async def test_a_dead_delivery_is_redelivered_under_the_same_id_with_fresh_retries(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    [event_id] = await ground.raised(1)
    answers = iter([AGAIN] * 4 + [AGAIN, AGAIN, OK])

    async def next_answer(sent: Sent) -> Receipt:
        return next(answers)

    sender = RecordingSender(next_answer)
    async with dispatching(ground, sender) as dispatcher:
        await until_states(ground, channel_id, DeliveryState.DEAD)
        [delivery] = await ground.of(channel_id)
        again = await ground.deliveries.redeliver(delivery.delivery_id)
        assert DeliveryState.PENDING is again.state
        dispatcher.refresh()
        await until_states(ground, channel_id, DeliveryState.DELIVERED)

    assert {event_id} == {sent.notification.event_id for sent in sender.begun}
    _, attempts = await ground.deliveries.get(delivery.delivery_id)
    assert list(range(1, 8)) == [attempt.number for attempt in attempts]


async def test_a_far_side_that_is_gone_disables_its_channel_and_what_is_pending_waits(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)

    async def gone(sent: Sent) -> Receipt:
        await ground.changed(1, ALERT_EVENT_TYPE_ACKNOWLEDGED)
        return GONE

    sender = RecordingSender(gone)
    async with dispatching(ground, sender):
        await until_states(ground, channel_id, DeliveryState.DEAD, DeliveryState.PENDING)
        channel = await ground.channels.get(channel_id)

    assert (False, "410 Gone") == (channel.enabled, channel.disabled_reason)
    assert [1] == sender.told(channel_id)


async def test_a_channel_that_leads_elsewhere_by_now_is_not_disabled_by_its_former_far_side(
    ground: Ground,
) -> None:
    channel_id = await ground.webhook("https://old.example.com/", "whsec_hidden")
    await ground.raised(1)

    async def move_then_gone(sent: Sent) -> Receipt:
        if len(sender.begun) > 1:
            return OK
        await ground.channels.update(
            channel_id,
            lambda present, _: (
                replace(present, config=WebhookConfig("https://new.example.com/")),
                None,
            ),
        )
        return GONE

    sender = RecordingSender(move_then_gone)
    async with dispatching(ground, sender):
        await until_states(ground, channel_id, DeliveryState.DELIVERED)

    assert (await ground.channels.get(channel_id)).enabled
    assert [1, 1] == sender.told(channel_id)


async def test_channels_are_picked_up_while_it_runs(ground: Ground) -> None:
    sender = RecordingSender()
    async with dispatching(ground, sender) as dispatcher:
        await eventually(lambda: dispatcher.works)
        channel_id = await ground.channel()
        await ground.raised(1)
        dispatcher.refresh()
        await until_states(ground, channel_id, DeliveryState.DELIVERED)
        await ground.channels.disable(channel_id, "a test", version=1)
        await ground.rows("UPDATE deliveries SET state = 1, next_attempt_time = now()")
        dispatcher.refresh()
        await ground.rows("UPDATE channels SET enabled = true")
        dispatcher.refresh()
        await sender.until(lambda: sender.told(channel_id) == [1, 1])
        await until_finished(ground)


async def test_what_is_still_being_sent_at_the_stop_is_broken_off_and_settled(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)

    async def hang(sent: Sent) -> Receipt:
        await asyncio.Event().wait()
        return OK

    sender = RecordingSender(hang)
    async with dispatching(ground, sender, grace=timedelta()):
        await sender.until(lambda: len(sender.begun) == 1)

    [delivery] = await ground.of(channel_id)
    _, [attempt] = await ground.deliveries.get(delivery.delivery_id)
    assert DeliveryState.PENDING is delivery.state
    assert (AttemptOutcome.AMBIGUOUS, "The service was stopped while it was sending.") == (
        attempt.outcome,
        attempt.detail,
    )


async def test_what_ends_within_the_grace_is_settled_as_it_ended(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    release = asyncio.Event()

    async def slow(sent: Sent) -> Receipt:
        await release.wait()
        return OK

    sender = RecordingSender(slow)
    async with dispatching(ground, sender) as dispatcher:
        await sender.until(lambda: len(sender.begun) == 1)
        stopping = asyncio.create_task(dispatcher.stop())
        await eventually(lambda: not dispatcher.works)
        release.set()
        await stopping

    assert [DeliveryState.DELIVERED] == await ground.states(channel_id)


async def test_a_worker_that_hangs_past_its_lease_is_replaced_and_settles_no_more(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    [event_id] = await ground.raised(1)
    release = asyncio.Event()

    async def first_hangs(sent: Sent) -> Receipt:
        if len(sender.begun) == 1:
            try:
                await release.wait()
            except asyncio.CancelledError:  # a sender that does not let itself be stopped
                await release.wait()
        return OK

    sender = RecordingSender(first_hangs)
    async with dispatching(ground, sender, lease=timedelta(seconds=3)):
        await until_finished(ground)
        release.set()
        await sender.until(lambda: len(sender.ended) == 2)

    [delivery] = await ground.of(channel_id)
    _, attempts = await ground.deliveries.get(delivery.delivery_id)
    assert DeliveryState.DELIVERED is delivery.state
    assert [AttemptOutcome.AMBIGUOUS, AttemptOutcome.DELIVERED] == [
        attempt.outcome for attempt in attempts
    ]
    assert [event_id] * 2 == [sent.notification.event_id for sent in sender.begun]


async def test_secrets_that_cannot_be_opened_are_told_in_the_attempts(ground: Ground) -> None:
    channel_id = await ground.channel(secret="whsec_hidden")
    await ground.raised(1)

    async with dispatching(
        ground, RecordingSender(), key=b"another key, as long as the first"[:32]
    ):
        await until_states(ground, channel_id, DeliveryState.DEAD)

    [delivery] = await ground.of(channel_id)
    assert "TOCSIN_NOTIFY_SECRET_KEY" in delivery.state_reason


async def test_a_bug_in_a_sender_is_an_ambiguous_end_and_its_log_has_no_secret(
    ground: Ground,
) -> None:
    channel_id = await ground.channel(secret="whsec_hidden")
    await ground.raised(1)

    async def fail(sent: Sent) -> Receipt:
        raise RuntimeError("whsec_hidden")

    with structlog.testing.capture_logs() as logs:
        async with dispatching(ground, RecordingSender(fail)):
            await until_states(ground, channel_id, DeliveryState.DEAD)

    [delivery] = await ground.of(channel_id)
    _, attempts = await ground.deliveries.get(delivery.delivery_id)
    assert [AttemptOutcome.AMBIGUOUS] * 4 == [attempt.outcome for attempt in attempts]
    assert "sender_failed" in {log["event"] for log in logs}
    assert "whsec_hidden" not in str(logs)


@pytest.mark.slow
async def test_five_thousand_that_wait_are_sent_a_few_at_a_time_each_alert_in_its_order(
    ground: Ground,
) -> None:
    channel_id = await ground.channel()
    for first in range(1, 5_001, 500):
        await ground.raised(*range(first, first + 500))
    under_way: set[int] = set()
    most = 0

    async def accept(sent: Sent) -> Receipt:
        nonlocal most
        under_way.add(sent.notification.revision)
        most = max(most, len(under_way))
        await asyncio.sleep(0)
        under_way.discard(sent.notification.revision)
        return OK

    sender = RecordingSender(accept)
    async with dispatching(ground, sender) as dispatcher:
        await sender.until(lambda: len(sender.ended) > 1_000, within=120)
        for number in range(1, 500):
            await ground.changed(number, ALERT_EVENT_TYPE_ACKNOWLEDGED)
        dispatcher.wake()
        await until_finished(ground, within=120)

    assert [*range(1, 5_001), *range(5_001, 5_500)] == sorted(sender.told(channel_id))
    assert 8 >= most
    assert [] == sender.overlaps
    told = defaultdict(list)
    for sent in sender.begun:
        told[sent.key].append(sent.notification.revision)
    assert all(revisions == sorted(revisions) for revisions in told.values())
