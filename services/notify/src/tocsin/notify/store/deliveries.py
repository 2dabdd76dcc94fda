"""Deliveries as people see them: listed, shown with their attempts, given up.

The hot path (claim and settle) is `delivery/queue.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select

from tocsin.common.errors import NotFoundError
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import Attempt, AttemptOutcome, Delivery, DeliveryState
from tocsin.notify.domain.notice import message_type
from tocsin.notify.store import redelivery
from tocsin.notify.store.acts import write_down
from tocsin.notify.store.tables import attempts, channels, deliveries, inbox_events

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tocsin.common.clock import Clock
    from tocsin.common.identity.audit import Act
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.store.redelivery import RedeliveryFilter

EXAMPLES = 20
"""How many of what is sent again are shown."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are asked for. None and () mean all."""

    channel_id: UUID | None = None
    alert_id: UUID | None = None
    states: tuple[DeliveryState, ...] = ()


@dataclass(frozen=True, slots=True)
class Redelivered:
    """How many are sent again, how many were left, and whether there are more than the limit.

    `examples` are the first of them.
    """

    count: int
    left: int
    more: bool
    examples: tuple[Delivery, ...]


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

    async def redeliver(self, delivery_id: UUID, *, act: Act | None = None) -> Delivery:
        """Put an ended delivery back in line, due now, with a fresh set of retries.

        Raises NotFoundError (DELIVERY_NOT_FOUND), FailedPreconditionError (CHANNEL_DISABLED when
        its channel is disabled or deleted; DELIVERY_NOT_FINAL when it is not at its end, or would
        tell what is over or older than what waits).
        """
        delivery, _ = await self.get(delivery_id)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await redelivery.redeliver(connection, delivery, now)
            await write_down(connection, act, now, subject=delivery_id)
        return redelivered(delivery, now)

    async def redeliver_all(
        self, wanted: RedeliveryFilter, *, dry_run: bool, act: Act | None = None
    ) -> Redelivered:
        """Put what a filter finds back in line, or only count it.

        Raises InvalidArgumentError when the channel does not exist or is disabled.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await redelivery.redeliver_all(connection, wanted, now, dry_run=dry_run)
            if found.delivery_ids and not dry_run:
                count = len(found.delivery_ids)
                await write_down(connection, act, now, subject=wanted.channel_id, count=count)
        examples = [(await self.get(each))[0] for each in found.delivery_ids[:EXAMPLES]]
        if not dry_run:
            examples = [redelivered(each, now) for each in examples]
        return Redelivered(len(found.delivery_ids), found.left, found.more, tuple(examples))


def redelivered(delivery: Delivery, now: datetime) -> Delivery:
    """Return a delivery as it is once it was put back in line."""
    return replace(
        delivery,
        state=DeliveryState.PENDING,
        state_reason="",
        reason=DecisionReason.UNSPECIFIED,
        held_by=None,
        carried_by=None,
        next_attempt_time=now,
        settle_time=None,
    )


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


def _or_empty(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Most notices are about no single alert."""
    return func.coalesce(text, "")


def _whole_delivery() -> Select[Any]:
    # That of an event has its alert under `alert`; one of flapping names the key itself.
    alert = func.coalesce(inbox_events.c.document["alert"], inbox_events.c.document)
    return (
        select(
            deliveries,
            channels.c.display_name,
            inbox_events.c.type,
            inbox_events.c.epoch,
            inbox_events.c.revision,
            inbox_events.c.synthetic,
            _or_empty(alert["host_id"].astext).label("host_id"),
            _or_empty(alert["kind"].astext).label("kind"),
            _or_empty(alert["dedup_key"].astext).label("dedup_key"),
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


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        channel_id=row.channel_id,
        channel_display_name=row.display_name,
        event_id=row.event_id,
        event_type=message_type(row.type),
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
        reason=DecisionReason(row.reason),
        route_id=row.route_id,
        held_by=row.held_by,
        told_as=None if row.told_as is None else message_type(row.told_as),
        collapsed_count=row.collapsed_count,
        follows=row.follows,
        carried_by=row.carried_by,
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
