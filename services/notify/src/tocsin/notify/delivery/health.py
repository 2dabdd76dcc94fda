"""What attempts say about their channel: it is kept as breaker and bucket, in few writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from tocsin.common.errors import ResourceExhaustedError, UnavailableError
from tocsin.notify.delivery import breaker
from tocsin.notify.delivery.breaker import TOO_MANY_REQUESTS
from tocsin.notify.delivery.throttle import paused
from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.health import Breaker, BreakerState, Bucket
from tocsin.notify.store import channel_states

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.delivery.breaker import BreakerRule
    from tocsin.notify.domain.delivery import Receipt

SUCCESS_STEP: Final = timedelta(seconds=10)
"""How much later a success must be to be written down when nothing else has changed."""

UNSAID_PAUSE: Final = timedelta(seconds=5)
"""How long to leave a far side alone that asks to be called less often, but not how long."""

_log = structlog.get_logger(__name__)


class HealthRecord:
    """Keeps the health of one channel, as the attempts of this process meet it."""

    def __init__(
        self, database: Database, channel_id: UUID, *, clock: Clock, rule: BreakerRule
    ) -> None:
        self._database = database
        self._channel_id = channel_id
        self._clock = clock
        self._rule = rule
        self._last: Breaker | None = None

    async def note(self, *receipts: Receipt) -> None:
        """Note how attempts ended, in this order, that are settled.

        Without a database it is left out.
        """
        now, last = self._clock.now(), self._last
        arrived = next((each for each in receipts if _arrived(each)), None)
        looked_at = [each for each in receipts if each is arrived or not _arrived(each)]
        if last is not None and all(says_nothing_new(last, each, now) for each in looked_at):
            return
        try:
            self._last = await record(self._database, self._channel_id, receipts, now, self._rule)
        except (UnavailableError, ResourceExhaustedError) as error:
            self._last = None
            _log.warning(
                "channel_health_unrecorded", channel_id=str(self._channel_id), error=error.message
            )


async def record(
    database: Database,
    channel_id: UUID,
    receipts: Sequence[Receipt],
    now: datetime,
    rule: BreakerRule,
) -> Breaker:
    """Write down what attempts that ended in this order say, and return the breaker.

    In a transaction of its own, which locks nothing else. Raises UnavailableError,
    ResourceExhaustedError.
    """
    async with database.transaction() as connection:
        state = await channel_states.lock(connection, channel_id)
        after = breaker.after(state.breaker, receipts, now, rule)
        if _differs(state.breaker, after):
            await channel_states.save_breaker(connection, channel_id, after)
            _tell(channel_id, state.breaker, after)
        await _save_pause(connection, channel_id, state.bucket, receipts, now)
    return after


def says_nothing_new(last: Breaker, receipt: Receipt, now: datetime) -> bool:
    """Whether a receipt changes nothing that is worth a write, given what was last seen."""
    if _asked_pause(receipt) or last.state is not BreakerState.CLOSED:
        return False
    after = breaker.after(last, [receipt], now, breaker.BreakerRule())
    return not _differs(last, after)


def _arrived(receipt: Receipt) -> bool:
    return receipt.outcome is AttemptOutcome.DELIVERED and receipt.retry_after is None


def _differs(before: Breaker, after: Breaker) -> bool:
    latest, former = after.last_success_time, before.last_success_time
    if latest is not None and (former is None or latest - former >= SUCCESS_STEP):
        return True
    return replace(after, last_success_time=former) != before


async def _save_pause(
    connection: asyncpg.Connection,
    channel_id: UUID,
    bucket: Bucket,
    receipts: Sequence[Receipt],
    now: datetime,
) -> None:
    asked = max((_asked_pause(each) for each in receipts), default=timedelta())
    after = paused(bucket, asked, now)
    if after != bucket:
        await channel_states.save_bucket(connection, channel_id, after)


def _asked_pause(receipt: Receipt) -> timedelta:
    """Return for how long the far side asked to be left alone, 0 when it did not."""
    if receipt.retry_after is not None:
        return receipt.retry_after
    return UNSAID_PAUSE if receipt.status_code == TOO_MANY_REQUESTS else timedelta()


def _tell(channel_id: UUID, before: Breaker, after: Breaker) -> None:
    was_closed, is_closed = (each.state is BreakerState.CLOSED for each in (before, after))
    if is_closed and not was_closed:
        _log.info("channel_breaker_closed", channel_id=str(channel_id))
    if was_closed and not is_closed:
        _log.warning(
            "channel_breaker_opened",
            channel_id=str(channel_id),
            failure_count=after.failure_count,
            error=after.last_error,
        )
