"""What a change of a channel does to the deliveries that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState
from tocsin.notify.store.steering import channel_states
from tocsin.notify.store.tables import attempts, deliveries

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL_DELETED = "the channel was deleted"


async def dead_all_of_channel(
    connection: AsyncConnection, channel_id: UUID, *, now: datetime, reason: str = CHANNEL_DELETED
) -> int:
    """End as DEAD what a channel has not delivered, and return how many that were.

    Call it in the transaction that marks the channel as deleted, after that statement: the lock
    on the channel's row keeps the follower from addressing more to it. What is being sent at this
    moment loses its lease, so that its late settle is refused, and counts as maybe told.
    """
    unfinished = deliveries.c.state.in_([literal_column(state) for state in ("1", "2", "6")])
    await _wait_for_claims(connection, channel_id)
    await connection.execute(  # in the order in which settling locks them, too
        select(deliveries.c.delivery_id)
        .where(deliveries.c.channel_id == channel_id, unfinished)
        .order_by(deliveries.c.delivery_id)
        .with_for_update()
    )
    ended = await connection.execute(
        update(deliveries)
        .where(deliveries.c.channel_id == channel_id, unfinished)
        .values(
            state=DeliveryState.DEAD,
            state_reason=reason,
            reason=DecisionReason.CHANNEL_DELETED,
            held_by=None,
            maybe_told=deliveries.c.maybe_told | deliveries.c.lease_token.is_not(None),
            next_attempt_time=None,
            lease_token=None,
            lease_expire_time=None,
            settle_time=now,
        )
        .returning(deliveries.c.delivery_id)
    )
    delivery_ids = list(ended.scalars())
    await connection.execute(
        update(attempts)
        .where(attempts.c.delivery_id == func.any(delivery_ids), attempts.c.finish_time.is_(None))
        .values(finish_time=now, outcome=AttemptOutcome.AMBIGUOUS, detail=reason)
    )
    return len(delivery_ids)


async def release_all_of_channel(
    connection: AsyncConnection, channel_id: UUID, *, now: datetime
) -> None:
    """Let what a rate limit or a pause of the far side holds be looked at now.

    Call it in the transaction that changes the channel: it may lead elsewhere by now. The pause
    ends with it.
    """
    await _wait_for_claims(connection, channel_id)
    await connection.execute(
        update(channel_states)
        .where(channel_states.c.channel_id == channel_id, channel_states.c.tokens_time > now)
        .values(tokens_time=None)
    )
    held = (
        select(deliveries.c.delivery_id)
        .where(
            deliveries.c.channel_id == channel_id,
            deliveries.c.state == literal_column("6"),
            deliveries.c.carried_by.is_(None),
            deliveries.c.reason == DecisionReason.RATE_LIMITED,
        )
        .order_by(deliveries.c.delivery_id)  # as settling locks them
        .with_for_update()
    )
    ids = list((await connection.execute(held)).scalars())
    await connection.execute(
        update(deliveries)
        .where(deliveries.c.delivery_id == func.any(ids))
        .values(next_attempt_time=now)
    )


async def _wait_for_claims(connection: AsyncConnection, channel_id: UUID) -> None:
    """Let claims end that go by the channel as it was: whoever claims next sees it as it is."""
    ensure = insert(channel_states).values(channel_id=channel_id).on_conflict_do_nothing()
    await connection.execute(ensure)
    state = select(channel_states.c.channel_id).where(channel_states.c.channel_id == channel_id)
    await connection.execute(state.with_for_update())
