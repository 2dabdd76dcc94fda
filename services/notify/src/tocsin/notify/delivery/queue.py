"""The queue of deliveries in PostgreSQL: claim, settle, reclaim.

A claim is a short transaction that takes what is due and gives it a lease with a token. Sending
happens outside any transaction. A settle needs the token: whoever lost the lease in the meantime
is refused. For one channel and one alert, one delivery at a time is being sent, and none while an
earlier one has not ended: the queries below look for it, and the unique index
`deliveries_one_sending_per_alert` holds it where two of them race.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg

from tocsin.notify.delivery import statements
from tocsin.notify.delivery.retry import WORKER_LOST, RetrySchedule, after_attempt, after_loss
from tocsin.notify.delivery.settling import Settlement, Settlements, settle_all
from tocsin.notify.delivery.telling import reason_not_to_tell
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt
from tocsin.notify.domain.notification import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database

_RECLAIM_AT_ONCE = 200
_CLAIM_TRIES = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery in the hands of one worker, until `lease_expire_time`.

    `document` is the notification as the inbox keeps it; `store.documents` reads it.
    `channel_version` is that of the channel when the claim was made.
    """

    delivery_id: UUID
    token: UUID
    attempt: int
    retry_count: int
    lease_expire_time: datetime
    channel_version: int
    document: dict[str, Any]


class DeliveryQueue:
    """What is to be sent, for all channels and all workers.

    `lease` is how long a claim holds: longer than any send takes. The clocks of all replicas must
    agree to within a few seconds. Every method raises UnavailableError when the database does not
    answer.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        lease: timedelta,
        schedule: RetrySchedule,
        roll: Callable[[], float],
        new_token: NewId = uuid4,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._schedule = schedule
        self._roll = roll
        self._new_token = new_token
        self._settlements = Settlements(database)

    async def claim(self, channel_id: UUID, limit: int) -> list[Claim]:
        """Take at most `limit` deliveries of a channel whose turn has come, the oldest due first.

        Those that the rule of telling forbids end here as SUPPRESSED. Nothing is claimed for a
        channel that is disabled or deleted.
        """
        for _ in range(_CLAIM_TRIES):
            try:
                claims, looked_at = await self._claim_once(channel_id, limit)
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                continue  # another worker took one of the same alert
            if claims or looked_at < limit:
                return claims
        return []

    async def _claim_once(self, channel_id: UUID, limit: int) -> tuple[list[Claim], int]:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            rows = await connection.fetch(statements.DUE, channel_id, now, limit)
            suppressed, claims = self._judge(rows, now)
            if suppressed:
                await connection.execute(
                    statements.SUPPRESS, *map(list, zip(*suppressed, strict=True)), now
                )
            if claims:
                ids = [claim.delivery_id for claim in claims]
                tokens = [claim.token for claim in claims]
                await connection.execute(statements.LEASE, ids, tokens, now + self._lease, now)
        return claims, len(rows)

    def _judge(
        self, rows: Sequence[asyncpg.Record], now: datetime
    ) -> tuple[list[tuple[UUID, str]], list[Claim]]:
        suppressed, claims = [], []
        for row in rows:
            reason = reason_not_to_tell(EventType(row["type"]), maybe_told=row["maybe_told"])
            if reason is None:
                claims.append(self._claimed(row, now))
            else:
                suppressed.append((row["delivery_id"], reason))
        return suppressed, claims

    def _claimed(self, row: asyncpg.Record, now: datetime) -> Claim:
        return Claim(
            delivery_id=row["delivery_id"],
            token=self._new_token(),
            attempt=row["attempt_count"] + 1,
            retry_count=row["retry_count"],
            lease_expire_time=now + self._lease,
            channel_version=row["version"],
            document=json.loads(row["document"]),
        )

    async def settle(self, claim: Claim, receipt: Receipt) -> bool:
        """Record what an attempt met and what becomes of the delivery.

        Returns False, and changes nothing, when the lease is no longer this claim's.
        """
        now = self._clock.now()
        verdict = after_attempt(
            receipt,
            retry_count=claim.retry_count,
            schedule=self._schedule,
            now=now,
            roll=self._roll(),
        )
        settlement = Settlement(claim.delivery_id, claim.token, receipt, verdict, now)
        return await self._settlements.settle(settlement)

    async def reclaim_lost(self) -> int:
        """Put back what was claimed and not settled within its lease; return how many.

        It may have been told: the attempt ends as AMBIGUOUS, and the same event id goes out again.
        """
        now = self._clock.now()
        lost = Receipt(AttemptOutcome.AMBIGUOUS, detail=WORKER_LOST)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(statements.LOST, now, _RECLAIM_AT_ONCE)
            settlements = [
                Settlement(
                    row["delivery_id"],
                    row["lease_token"],
                    lost,
                    after_loss(retry_count=row["retry_count"], schedule=self._schedule, now=now),
                    now,
                )
                for row in rows
            ]
            await settle_all(connection, settlements)
        return len(rows)

    async def next_due(self, channel_id: UUID) -> datetime | None:
        """Return when the next delivery of a channel falls due after now; None when none will."""
        async with self._database.connection() as connection:
            due: datetime | None = await connection.fetchval(
                statements.NEXT_DUE, channel_id, self._clock.now()
            )
            return due
