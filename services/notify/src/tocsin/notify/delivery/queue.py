"""The queue of deliveries in PostgreSQL: claim, settle, reclaim.

A claim is a short transaction that takes what is due and gives it a lease with a token. Sending
happens outside any transaction. A settle needs the token: whoever lost the lease in the meantime
is refused. For one channel and one alert, one delivery at a time is being sent, and one at most
waits behind it: the queries below look for it, and the unique indexes
`deliveries_one_sending_per_alert` and `deliveries_one_waiting_per_alert` hold it where two race.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg

from tocsin.common.ids import uuid7
from tocsin.notify.delivery import statements
from tocsin.notify.delivery.claiming import Chosen, Claiming
from tocsin.notify.delivery.limits import limits_of
from tocsin.notify.delivery.retry import (
    WORKER_LOST,
    RetrySchedule,
    after_attempt,
    after_loss,
    not_begun,
)
from tocsin.notify.delivery.settling import Settlement, Settlements, settle_all
from tocsin.notify.delivery.wrong_clocks import ClockWatch, disbelieve
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt
from tocsin.notify.store import channel_states
from tocsin.notify.store.columns import columns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.channel import ChannelType
    from tocsin.notify.domain.channel_type import ChannelSpec
    from tocsin.notify.domain.notice import Message
    from tocsin.notify.store.channel_states import ChannelStateRow

_RECLAIM_AT_ONCE = 200
_CLAIM_TRIES = 5
# Where nothing of what was looked at first is sent now, so many are looked at.
_LOOK_FURTHER = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery in the hands of one worker, until `lease_expire_time`.

    `message` is what is sent, None when the stored one cannot be read. `channel_version` is that
    of the channel when the claim was made.
    """

    delivery_id: UUID
    token: UUID
    attempt: int
    retry_count: int
    lease_expire_time: datetime
    channel_version: int
    message: Message | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim took. `is_all` says that nothing more was due, but what others hold.

    `closed_until` is when something may be sent again, where nothing may be sent now.
    """

    claims: tuple[Claim, ...] = ()
    is_all: bool = True
    closed_until: datetime | None = None


class DeliveryQueue:
    """What is to be sent, for all channels and all workers.

    `lease` is how long a claim holds: longer than any send takes. `specs` says what each type of
    channels takes; a type that it does not name has no limit and carries no digests. The clocks of
    all replicas must agree to within a few seconds. Every method raises UnavailableError when the
    database does not answer.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        lease: timedelta,
        schedule: RetrySchedule,
        roll: Callable[[], float],
        specs: Mapping[ChannelType, ChannelSpec] = MappingProxyType({}),
        new_token: NewId = uuid4,
        new_id: NewId = uuid7,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._schedule = schedule
        self._roll = roll
        self._specs = specs
        self._new_token = new_token
        self._new_id = new_id
        self._settlements = Settlements(database)
        self._clock_watch = ClockWatch(clock)

    async def claim(self, channel_id: UUID, limit: int) -> list[Claim]:
        """Take at most `limit` deliveries of a channel whose turn has come: those of `take`."""
        return list((await self.take(channel_id, limit)).claims)

    async def take(self, channel_id: UUID, limit: int) -> Taken:
        """Take at most `limit` deliveries of a channel whose turn has come.

        Those that the rule of telling forbids end here, or are held for a while. Nothing is
        claimed for a channel that is disabled or deleted, whose breaker is open, or whose far side
        asked for a pause.
        """
        look = limit
        taken = Taken()
        for _ in range(_CLAIM_TRIES):
            try:
                taken, looked_at = await self._take_once(channel_id, limit, look)
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                continue  # another worker took one of the same alert
            if taken.claims or looked_at < look:
                return taken
            look = max(limit, _LOOK_FURTHER)
        return taken

    async def _take_once(self, channel_id: UUID, limit: int, look: int) -> tuple[Taken, int]:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await self._lock(connection, channel_id)
            if row is None:
                return Taken(), 0
            limits, state = limits_of(row, self._specs), channel_states.state_of(row)
            claiming = Claiming(
                connection,
                channel_id,
                limits,
                state,
                now=now,
                lease_until=now + self._lease,
                new_id=self._new_id,
            )
            room = claiming.room(limit)
            if room == 0:
                return Taken(closed_until=_closed_until(state)), 0
            look = limits.look(look)
            chosen, looked_at = await claiming.choose(room, look)
            claims = [self._claimed(each, limits.version, now) for each in chosen]
            if claims:
                rows = [
                    (claim.delivery_id, claim.token, each.told_as.value)
                    for claim, each in zip(claims, chosen, strict=True)
                ]
                await connection.execute(
                    statements.LEASE, *columns_of(rows, 3), now + self._lease, now
                )
        is_all = looked_at < look and len(claims) < room
        return Taken(tuple(claims), is_all=is_all), looked_at

    async def _lock(
        self, connection: asyncpg.Connection, channel_id: UUID
    ) -> asyncpg.Record | None:
        """Lock the state of a channel, and return it with the channel; None unless it is on."""
        row = await connection.fetchrow(statements.CHANNEL, channel_id)
        if row is None:
            await channel_states.ensure(connection, channel_id)
            row = await connection.fetchrow(statements.CHANNEL, channel_id)
        return row

    def _claimed(self, chosen: Chosen, channel_version: int, now: datetime) -> Claim:
        return Claim(
            delivery_id=chosen.delivery_id,
            token=self._new_token(),
            attempt=chosen.attempt_count + 1,
            retry_count=chosen.retry_count,
            lease_expire_time=now + self._lease,
            channel_version=channel_version,
            message=chosen.message,
        )

    async def settle(self, claim: Claim, receipt: Receipt) -> bool:
        """Record what an attempt met and what becomes of the delivery.

        Returns False, and changes nothing, when the lease is no longer this claim's.
        """
        return await self._settlements.settle(self._settlement(claim, receipt))

    async def settle_all(
        self, ended: Iterable[tuple[Claim, Receipt | None]]
    ) -> list[bool | BaseException]:
        """Settle many; each says as `settle` does how it went, or by which error it failed.

        Without a receipt it was not begun: it is given back as it was.
        """
        written = [self._settlements.put(self._settlement(*each)) for each in ended]
        return await asyncio.gather(*written, return_exceptions=True)

    def _settlement(self, claim: Claim, receipt: Receipt | None) -> Settlement:
        now = self._clock.now()
        if receipt is None:
            verdict = not_begun(retry_count=claim.retry_count, now=now)
        else:
            verdict = after_attempt(
                receipt,
                retry_count=claim.retry_count,
                schedule=self._schedule,
                now=now,
                roll=self._roll(),
            )
        return Settlement(claim.delivery_id, claim.token, receipt, verdict, now)

    async def reclaim_lost(self) -> int:
        """Put back what was claimed and not settled within its lease; return how many.

        A lease that ends later than it could have been given was given by a wrong clock. What was
        claimed may have been told: the attempt ends as AMBIGUOUS, and the same event id goes out
        again.
        """
        now = self._clock.now()
        lost = Receipt(AttemptOutcome.AMBIGUOUS, detail=WORKER_LOST)
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                statements.LOST, now, _RECLAIM_AT_ONCE, now + 2 * self._lease
            )
            settlements = [
                Settlement(
                    row["delivery_id"],
                    row["lease_token"],
                    lost,
                    after_loss(
                        retry_count=row["retry_count"],
                        schedule=self._schedule,
                        lease=self._lease,
                        now=now,
                    ),
                    now,
                )
                for row in rows
            ]
            held: set[UUID] = set()
            await settle_all(connection, settlements, held)
            return len(held)

    async def disbelieve_future(self) -> int:
        """Let what waits for a time that a wrong clock has set be due now; return how many."""
        furthest = self._clock_watch.furthest()
        if furthest is None:
            return 0
        async with self._database.connection() as connection:
            return await disbelieve(connection, furthest, self._clock.now())

    async def first_due(self, channel_id: UUID) -> datetime | None:
        """Return when the first delivery of a channel that waits falls due, or fell due."""
        async with self._database.connection() as connection:
            due: datetime | None = await connection.fetchval(statements.FIRST_DUE, channel_id)
            return due

    async def next_due(self, channel_id: UUID) -> datetime | None:
        """Return when the next delivery of a channel falls due after now; None when none will."""
        async with self._database.connection() as connection:
            due: datetime | None = await connection.fetchval(
                statements.NEXT_DUE, channel_id, self._clock.now()
            )
            return due


def _closed_until(state: ChannelStateRow) -> datetime | None:
    times = (state.breaker.probe_time, state.bucket.as_of)
    return max((time for time in times if time is not None), default=None)
