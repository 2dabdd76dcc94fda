"""Deliveries as people see them: listed, shown, and put back in line."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from support.alert_stubs import EPOCH, alert_id
from support.notify_ground import AGAIN, OK, Ground
from tocsin.common.errors import FailedPreconditionError, NotFoundError
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.notification import EventType
from tocsin.notify.store.deliveries import DeliveryFilter

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock)


async def settle_all(ground: Ground, channel_id: UUID, *, good: bool) -> None:
    queue = ground.queue(RetrySchedule((timedelta(),)))
    for claim in await queue.claim(channel_id, 100):
        await queue.settle(claim, OK if good else AGAIN)


async def test_a_delivery_is_shown_with_its_event_and_its_channel(
    ground: Ground, clock: ManualClock
) -> None:
    channel_id = await ground.channel()
    [event_id] = await ground.raised(7)

    [delivery] = await ground.of(channel_id)

    assert (channel_id, "channel 1", event_id, EventType.RAISED) == (
        delivery.channel_id,
        delivery.channel_display_name,
        delivery.event_id,
        delivery.event_type,
    )
    assert (UUID(EPOCH), 1, False, UUID(alert_id(7)), "web-1", "backup_failed", "group-7") == (
        delivery.epoch,
        delivery.revision,
        delivery.synthetic,
        delivery.alert_id,
        delivery.host_id,
        delivery.kind,
        delivery.dedup_key,
    )
    assert (DeliveryState.PENDING, clock.now(), clock.now(), None) == (
        delivery.state,
        delivery.next_attempt_time,
        delivery.create_time,
        delivery.settle_time,
    )


async def test_pages_come_the_latest_first_and_follow_each_other(ground: Ground) -> None:
    await ground.channel()
    await ground.raised(*range(1, 8))

    pages, before = [], None
    while page := await ground.deliveries.list_page(DeliveryFilter(), before=before, limit=3):
        pages.append([delivery.revision for delivery in page])
        before = page[-1].delivery_id

    assert [[7, 6, 5], [4, 3, 2], [1]] == pages


async def test_deliveries_are_filtered_by_channel_alert_and_state(ground: Ground) -> None:
    first, second = await ground.channel(), await ground.channel()
    await ground.raised(1, 2)
    await settle_all(ground, first, good=True)
    await settle_all(ground, second, good=False)
    await ground.raised(3)
    about_two = UUID(alert_id(2))

    async def found(**wanted: object) -> list[tuple[UUID, int]]:
        page = await ground.deliveries.list_page(
            DeliveryFilter(**wanted),  # type: ignore[arg-type]
            limit=100,
        )
        return sorted((delivery.channel_id, delivery.revision) for delivery in page)

    assert [(first, 1), (first, 2), (first, 3)] == await found(channel_id=first)
    assert sorted([(first, 2), (second, 2)]) == await found(alert_id=about_two)
    dead = (DeliveryState.DEAD,)
    assert [(second, 1), (second, 2)] == await found(states=dead)
    either = (DeliveryState.DELIVERED, DeliveryState.PENDING)
    assert [(first, 1), (first, 2), (first, 3), (second, 3)] == await found(states=either)
    assert [(second, 2)] == await found(channel_id=second, alert_id=about_two, states=dead)


@pytest.mark.parametrize("good", [True, False])
async def test_a_final_delivery_is_put_back_in_line_due_now(
    ground: Ground, clock: ManualClock, good: bool
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    await settle_all(ground, channel_id, good=good)
    [final] = await ground.of(channel_id)
    now = clock.advance(seconds=60)

    again = await ground.deliveries.redeliver(final.delivery_id)

    assert (DeliveryState.PENDING, "", now, None, 1) == (
        again.state,
        again.state_reason,
        again.next_attempt_time,
        again.settle_time,
        again.attempt_count,
    )
    assert [final.delivery_id] == [
        claim.delivery_id for claim in await ground.queue().claim(channel_id, 8)
    ]


async def test_of_many_redeliveries_at_once_one_is_made(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    await settle_all(ground, channel_id, good=True)
    [final] = await ground.of(channel_id)

    ends = await asyncio.gather(
        *(ground.deliveries.redeliver(final.delivery_id) for _ in range(6)), return_exceptions=True
    )

    assert 5 == sum(isinstance(end, FailedPreconditionError) for end in ends)
    assert 1 == len(await ground.queue().claim(channel_id, 8))


async def test_news_after_a_redelivered_one_take_its_place(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    await settle_all(ground, channel_id, good=True)
    [first] = await ground.of(channel_id)
    await ground.deliveries.redeliver(first.delivery_id)
    await ground.resolved(1)

    claims = await ground.queue().claim(channel_id, 8)

    [_, resolved] = await ground.of(channel_id)
    assert [resolved.delivery_id] == [claim.delivery_id for claim in claims]


async def test_a_delivery_that_has_not_ended_cannot_be_redelivered(ground: Ground) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    [pending] = await ground.of(channel_id)

    with pytest.raises(FailedPreconditionError) as refusal:
        await ground.deliveries.redeliver(pending.delivery_id)

    assert "DELIVERY_NOT_FINAL" == refusal.value.reason
    assert "PENDING" in refusal.value.message


@pytest.mark.parametrize("what", ["disabled", "deleted"])
async def test_nothing_is_redelivered_to_a_channel_that_is_not_there(
    ground: Ground, what: str
) -> None:
    channel_id = await ground.channel()
    await ground.raised(1)
    await settle_all(ground, channel_id, good=True)
    [final] = await ground.of(channel_id)
    if what == "disabled":
        await ground.channels.disable(channel_id, "410 Gone", version=1)
    else:
        await ground.channels.delete(channel_id)

    with pytest.raises(FailedPreconditionError) as refusal:
        await ground.deliveries.redeliver(final.delivery_id)

    assert "CHANNEL_DISABLED" == refusal.value.reason
    assert what in refusal.value.message


async def test_a_delivery_that_does_not_exist_is_not_found(ground: Ground) -> None:
    for call in (ground.deliveries.get, ground.deliveries.redeliver):
        with pytest.raises(NotFoundError) as refusal:
            await call(uuid4())
        assert "DELIVERY_NOT_FOUND" == refusal.value.reason
