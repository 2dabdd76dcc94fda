"""What has ended is sent once more, under the lock of its channel and its alert.

Nothing that waits or is being sent is overtaken, and nothing is told of an alert that is over but
its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.common.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
)
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.notice import NoticeType
from tocsin.notify.domain.notification import EventType
from tocsin.notify.store import tellings

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.decision import DecisionReason
    from tocsin.notify.domain.delivery import Delivery

_FINAL = (DeliveryState.DEAD, DeliveryState.DELIVERED, DeliveryState.EXPIRED)

_ENDS = (EventType.RESOLVED, NoticeType.STEADY)

_NEVER_AGAIN = {
    EventType.REMINDER: "A reminder is not sent again: the next one comes by itself.",
    NoticeType.DIGEST: "A digest is not sent again. Send again what it carried.",
}

# The lock keeps channels from being deleted until the end of the transaction.
_CHANNELS = """
SELECT channel_id, enabled FROM channels
 WHERE delete_time IS NULL AND ($1::uuid IS NULL OR channel_id = $1)
 ORDER BY channel_id FOR SHARE
"""

# States are written as numbers so that the partial indexes serve: 1 PENDING, 2 SENDING, 6 HELD.
_UNFINISHED = """
SELECT EXISTS (SELECT FROM deliveries WHERE channel_id = $1 AND alert_id = $2
                  AND state IN (1, 2, 6))
"""

_STATE = "SELECT state FROM deliveries WHERE delivery_id = $1 FOR UPDATE"

# 3 is DELIVERED, 5 DEAD, 8 EXPIRED; the type 6 is RESOLVED, 101 REMINDER, 103 STEADY, 104 DIGEST.
# Of one alert only the newest goes out again, and only if nothing newer was told or waits.
_FIND = """
SELECT d.delivery_id, d.channel_id, d.alert_id, d.settle_time,
       (i.type IN (6, 103) OR NOT t.is_over)
       AND row_number() OVER (PARTITION BY d.channel_id, d.alert_id ORDER BY d.sequence DESC) = 1
       AND NOT EXISTS (
               SELECT FROM deliveries other
                WHERE other.channel_id = d.channel_id AND other.alert_id = d.alert_id
                  AND (other.state IN (1, 2, 6) OR other.state = 3 AND other.sequence > d.sequence)
           ) AS may_go
  FROM deliveries d
  JOIN inbox_events i ON i.event_id = d.event_id
  JOIN tellings t ON t.channel_id = d.channel_id AND t.alert_id = d.alert_id
 WHERE d.state IN (5, 8) AND d.state = ANY($1::smallint[]) AND d.channel_id = ANY($2::uuid[])
   AND ($3::smallint[] = '{}' OR d.reason = ANY($3::smallint[]))
   AND d.settle_time >= $4 AND d.settle_time < $5 AND i.type NOT IN (101, 104)
"""

_PAGE = f"""
WITH found AS ({_FIND})
SELECT delivery_id, channel_id, alert_id, (SELECT count(*) FROM found WHERE NOT may_go) AS left_out
  FROM (SELECT) one LEFT JOIN found ON may_go
 ORDER BY settle_time, delivery_id LIMIT $6
"""  # noqa: S608 - of constants

_STILL = f"WITH found AS ({_FIND}) SELECT delivery_id FROM found WHERE may_go"  # noqa: S608 - of constants

# In the order in which everybody locks deliveries.
_LOCK = """
SELECT delivery_id FROM deliveries WHERE delivery_id = ANY($1::uuid[])
 ORDER BY delivery_id FOR UPDATE
"""

# It goes as itself, whatever carried it; that it came too late does not count for whom asks.
_PUT_BACK = """
UPDATE deliveries
   SET state = 1, state_reason = '', reason = 0, held_by = NULL, carried_by = NULL,
       retry_count = 0, next_attempt_time = $2, expire_time = NULL, settle_time = NULL
 WHERE delivery_id = ANY($1::uuid[])
"""


@dataclass(frozen=True, slots=True)
class RedeliveryFilter:
    """Which deliveries to send again: DEAD or EXPIRED ones that ended from `after` to `before`.

    No channel means all enabled ones, no reasons mean all. At most `limit`, the oldest first.
    """

    channel_id: UUID | None
    states: tuple[DeliveryState, ...]
    reasons: tuple[DecisionReason, ...]
    after: datetime
    before: datetime
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a filter finds: what goes out again, in order, and how many are left as they are."""

    delivery_ids: tuple[UUID, ...]
    left: int
    more: bool


async def redeliver(connection: asyncpg.Connection, delivery: Delivery, now: datetime) -> None:
    """Put one ended delivery back in line.

    Raises NotFoundError (DELIVERY_NOT_FOUND), FailedPreconditionError (DELIVERY_NOT_FINAL,
    CHANNEL_DISABLED).
    """
    await _require_enabled(connection, delivery.channel_id)
    pair = (delivery.channel_id, delivery.alert_id)
    telling = (await tellings.lock(connection, [pair]))[pair]
    number = await connection.fetchval(_STATE, delivery.delivery_id)
    if number is None:
        raise NotFoundError(f"No delivery {delivery.delivery_id}.", reason="DELIVERY_NOT_FOUND")
    if (state := DeliveryState(number)) not in _FINAL:
        raise _not_final(
            f"The delivery is {state.name}. Only one that is DEAD, DELIVERED or EXPIRED can be"
            " sent again."
        )
    if delivery.event_type in _NEVER_AGAIN:
        raise _not_final(_NEVER_AGAIN[delivery.event_type])
    if telling.is_over and delivery.event_type not in _ENDS:
        raise _not_final("Its alert is resolved by now; only its end can be sent again.")
    if await connection.fetchval(_UNFINISHED, *pair):
        raise _not_final("Newer news of the same alert waits for this channel, and tells it all.")
    await connection.execute(_PUT_BACK, [delivery.delivery_id], now)


async def redeliver_all(
    connection: asyncpg.Connection, wanted: RedeliveryFilter, now: datetime, *, dry_run: bool
) -> Found:
    """Put back in line what a filter finds; with `dry_run` only look.

    Raises InvalidArgumentError when the channel does not exist or is disabled.
    """
    channel_ids = await _channels(connection, wanted.channel_id)
    conditions = (
        [state.value for state in wanted.states],
        channel_ids,
        [reason.value for reason in wanted.reasons],
        wanted.after,
        wanted.before,
    )
    rows = await connection.fetch(_PAGE, *conditions, wanted.limit + 1)
    found = [row for row in rows if row["delivery_id"] is not None]
    more, found = len(found) > wanted.limit, found[: wanted.limit]
    ids = [row["delivery_id"] for row in found]
    if not dry_run and found:
        await tellings.lock(connection, [(row["channel_id"], row["alert_id"]) for row in found])
        ids = await _still(connection, ids, conditions)
        await connection.execute(_PUT_BACK, ids, now)
    return Found(tuple(ids), rows[0]["left_out"] + len(found) - len(ids), more)


async def _still(
    connection: asyncpg.Connection, ids: Collection[UUID], conditions: tuple[Any, ...]
) -> list[UUID]:
    """Lock deliveries whose tellings are locked, and return those that may still go, in order."""
    await connection.execute(_LOCK, ids)
    may_go = {row["delivery_id"] for row in await connection.fetch(_STILL, *conditions)}
    return [each for each in ids if each in may_go]


async def _channels(connection: asyncpg.Connection, channel_id: UUID | None) -> list[UUID]:
    rows = await connection.fetch(_CHANNELS, channel_id)
    if channel_id is not None and not any(row["enabled"] for row in rows):
        wrong = "is disabled; enable it first" if rows else f"no channel has the id {channel_id}"
        raise InvalidArgumentError.of([FieldViolation("channel_id", wrong)])
    return [row["channel_id"] for row in rows if row["enabled"]]


async def _require_enabled(connection: asyncpg.Connection, channel_id: UUID) -> None:
    row = await connection.fetchrow(_CHANNELS, channel_id)
    if row is None or not row["enabled"]:
        what = "deleted" if row is None else "disabled. Enable it first"
        raise FailedPreconditionError(
            f"The channel of this delivery is {what}.", reason="CHANNEL_DISABLED"
        )


def _not_final(message: str) -> FailedPreconditionError:
    return FailedPreconditionError(message, reason="DELIVERY_NOT_FINAL")
