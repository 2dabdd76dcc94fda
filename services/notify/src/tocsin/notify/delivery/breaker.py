"""The breaker of a channel: a far side that is down is asked rarely, with one message. Pure.

A message that waits for a far side to come back uses up no attempts meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.health import Breaker, BreakerState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tocsin.notify.domain.delivery import Receipt

TOO_MANY_REQUESTS: Final = 429

_FAILED = (AttemptOutcome.RETRY, AttemptOutcome.AMBIGUOUS)


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """After `failures` attempts in a row that failed, the breaker opens; 0 means never.

    The next try comes after half of the time since the first of these failures, and never sooner
    than `shortest_pause` or later than `longest_pause`.
    """

    failures: int = 5
    shortest_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(minutes=5)


def room(breaker: Breaker, limit: int, now: datetime, update_time: datetime | None = None) -> int:
    """Return how many messages may be sent now, of at most `limit`.

    While it is OPEN or HALF_OPEN that is none before `probe_time`, and then one. A change of the
    channel since the last failure, at `update_time`, may have mended it: then one at once.
    """
    if breaker.state is BreakerState.CLOSED:
        return limit
    if breaker.probe_time is None or breaker.probe_time <= now:
        return min(1, limit)
    failed = breaker.last_error_time
    was_changed = update_time is not None and (failed is None or failed < update_time)
    return min(1, limit) if _is_open(breaker) and was_changed else 0


def probing(breaker: Breaker, now: datetime, until: datetime) -> Breaker:
    """Return the breaker once messages were claimed: HALF_OPEN if it was not CLOSED.

    The one that is tried is settled before `until`, the end of its lease, or lost.
    """
    if breaker.state is BreakerState.CLOSED:
        return breaker
    return replace(_in_state(breaker, BreakerState.HALF_OPEN, now), probe_time=until)


def after(
    breaker: Breaker, receipts: Sequence[Receipt], now: datetime, rule: BreakerRule
) -> Breaker:
    """Return the breaker after attempts that ended in this order.

    It opens for what did not arrive or may not have. A far side that answers closes it, also by a
    refusal or by asking to be called less often.
    """
    for receipt in receipts:
        breaker = _after_one(breaker, receipt, now, rule)
    return breaker


def _after_one(breaker: Breaker, receipt: Receipt, now: datetime, rule: BreakerRule) -> Breaker:
    if receipt.outcome is AttemptOutcome.DELIVERED:
        return replace(_closed(breaker, now), last_success_time=now)
    breaker = replace(breaker, last_error=receipt.detail, last_error_time=now)
    if receipt.outcome not in _FAILED or receipt.status_code == TOO_MANY_REQUESTS:
        return _closed(breaker, now)
    breaker = replace(
        breaker,
        failure_count=breaker.failure_count + 1,
        failing_since=breaker.failing_since or now,
    )
    is_due = 0 < rule.failures <= breaker.failure_count
    # What was under way when it opened prolongs nothing.
    return _opened(breaker, now, rule) if is_due and not _is_open(breaker) else breaker


def _closed(breaker: Breaker, now: datetime) -> Breaker:
    closed = _in_state(breaker, BreakerState.CLOSED, now)
    return replace(closed, failure_count=0, probe_time=None, failing_since=None)


def _opened(breaker: Breaker, now: datetime, rule: BreakerRule) -> Breaker:
    since = breaker.failing_since or now
    pause = min(max((now - since) / 2, rule.shortest_pause), rule.longest_pause)
    return replace(_in_state(breaker, BreakerState.OPEN, now), probe_time=now + pause)


def _in_state(breaker: Breaker, state: BreakerState, now: datetime) -> Breaker:
    if breaker.state is state:
        return breaker
    return replace(breaker, state=state, since_time=now)


def _is_open(breaker: Breaker) -> bool:
    return breaker.state is BreakerState.OPEN
