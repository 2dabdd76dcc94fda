"""Deliveries as people see them: listed, shown with their attempts, sent again, given up.

The hot path (claim and settle) is `delivery/queue.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, update

from tocsin.common.errors import FailedPreconditionError, NotFoundError
from tocsin.notify.domain.delivery import Attempt, AttemptOutcome, Delivery, DeliveryState
from tocsin.notify.domain.notification import EventType
from tocsin.notify.store.tables import attempts, channels, deliveries, inbox_events

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

CHANNEL_DELETED = "the channel was deleted"

_REDELIVERABLE = (DeliveryState.DEAD, DeliveryState.DELIVERED)


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are asked for. None and () mean all."""

    channel_id: UUID | None = None
    alert_id: UUID | None = None
    states: tuple[DeliveryState, ...] = ()


class DeliveryStore:
    """Reads deliveries, and puts ended ones back in line.

    Every method raises UnavailableError when the database does not answer.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_page(
        self, wanted: DeliveryFilter, *, before: UUID | None = None, limit: int
    ) -> list[Delivery]:
        """Return at most `limit` deliveries, the latest first.

        `before` is the delivery_id that the page before ended with.
        """
        query = _whole_delivery().where(*_conditions(wanted))
        if before is not None:
            query = query.where(deliveries.c.delivery_id < before)
        query = query.order_by(deliveries.c.delivery_id.desc()).limit(limit)
        async with self._database.core() as connection:
            return [_delivery(row) for row in await connection.execute(query)]

    async def get(self, delivery_id: UUID) -> tuple[Delivery, list[Attempt]]:
        """Return a delivery and its attempts, the first one first.

        Raises NotFoundError (DELIVERY_NOT_FOUND).
        """
        async with self._database.core() as connection:
            delivery = await _read(connection, delivery_id)
            rows = await connection.execute(
                select(attempts)
                .where(attempts.c.delivery_id == delivery_id)
                .order_by(attempts.c.number)
            )
            return delivery, [_attempt(row) for row in rows]

    async def redeliver(self, delivery_id: UUID) -> Delivery:
        """Put a DEAD or DELIVERED delivery back in line, due now, with a fresh set of retries.

        Raises NotFoundError (DELIVERY_NOT_FOUND), FailedPreconditionError (DELIVERY_NOT_FINAL, or
        CHANNEL_DISABLED when its channel is disabled or deleted).
        """
        async with self._database.core() as connection:
            await _require_enabled_channel(connection, delivery_id)
            now = self._clock.now()
            changed = await connection.execute(
                update(deliveries)
                .where(
                    deliveries.c.delivery_id == delivery_id,
                    deliveries.c.state.in_(_REDELIVERABLE),
                )
                .values(
                    state=DeliveryState.PENDING,
                    state_reason="",
                    retry_count=0,
                    next_attempt_time=now,
                    settle_time=None,
                )
            )
            delivery = await _read(connection, delivery_id)
            if changed.rowcount == 0:
                raise FailedPreconditionError(
                    f"The delivery is {delivery.state.name}. Only one that is DEAD or DELIVERED"
                    " can be sent again.",
                    reason="DELIVERY_NOT_FINAL",
                )
            return delivery


async def dead_all_of_channel(
    connection: AsyncConnection, channel_id: UUID, *, now: datetime, reason: str = CHANNEL_DELETED
) -> int:
    """End as DEAD what a channel has not delivered, and return how many that were.

    Call it in the transaction that marks the channel as deleted, after that statement: the lock
    on the channel's row keeps the follower from addressing more to it. What is being sent at this
    moment loses its lease, so that its late settle is refused, and counts as maybe told.
    """
    unfinished = deliveries.c.state.in_([literal_column("1"), literal_column("2")])
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


def _conditions(wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    conditions = []
    if wanted.channel_id is not None:
        conditions.append(deliveries.c.channel_id == wanted.channel_id)
    if wanted.alert_id is not None:
        conditions.append(deliveries.c.alert_id == wanted.alert_id)
    if wanted.states:  # written out, so that the planner sees which partial index serves
        numbers: list[ColumnElement[Any]] = [
            literal_column(str(state.value)) for state in wanted.states
        ]
        conditions.append(deliveries.c.state.in_(numbers))
    return conditions


def _whole_delivery() -> Select[Any]:
    alert = inbox_events.c.document["alert"]
    return (
        select(
            deliveries,
            channels.c.display_name,
            inbox_events.c.type,
            inbox_events.c.epoch,
            inbox_events.c.revision,
            inbox_events.c.synthetic,
            alert["host_id"].astext.label("host_id"),
            alert["kind"].astext.label("kind"),
            alert["dedup_key"].astext.label("dedup_key"),
        )
        .join(channels, channels.c.channel_id == deliveries.c.channel_id)
        .join(inbox_events, inbox_events.c.event_id == deliveries.c.event_id)
    )


async def _read(connection: AsyncConnection, delivery_id: UUID) -> Delivery:
    query = _whole_delivery().where(deliveries.c.delivery_id == delivery_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"No delivery {delivery_id}.", reason="DELIVERY_NOT_FOUND")
    return _delivery(row)


async def _require_enabled_channel(connection: AsyncConnection, delivery_id: UUID) -> None:
    """Lock the delivery's channel against deletion until the end of the transaction."""
    query = (
        select(channels.c.enabled, channels.c.delete_time)
        .join(deliveries, deliveries.c.channel_id == channels.c.channel_id)
        .where(deliveries.c.delivery_id == delivery_id)
        .with_for_update(read=True, of=channels)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"No delivery {delivery_id}.", reason="DELIVERY_NOT_FOUND")
    if row.delete_time is not None or not row.enabled:
        what = "deleted" if row.delete_time is not None else "disabled. Enable it first"
        raise FailedPreconditionError(
            f"The channel of this delivery is {what}.", reason="CHANNEL_DISABLED"
        )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        channel_id=row.channel_id,
        channel_display_name=row.display_name,
        event_id=row.event_id,
        event_type=EventType(row.type),
        epoch=row.epoch,
        revision=row.revision,
        synthetic=row.synthetic,
        alert_id=row.alert_id,
        host_id=row.host_id,
        kind=row.kind,
        dedup_key=row.dedup_key,
        state=DeliveryState(row.state),
        state_reason=row.state_reason,
        attempt_count=row.attempt_count,
        next_attempt_time=row.next_attempt_time,
        create_time=row.create_time,
        settle_time=row.settle_time,
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        number=row.number,
        start_time=row.start_time,
        finish_time=row.finish_time,
        outcome=None if row.outcome is None else AttemptOutcome(row.outcome),
        status_code=row.status_code,
        detail=row.detail,
    )
