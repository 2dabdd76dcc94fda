"""When a delivery is tried again, and when it is given up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.common.backoff import with_jitter
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt

if TYPE_CHECKING:
    from datetime import datetime

REFUSED_ATTEMPTS: Final = 3
"""A refusal does not pass by itself; two more tries cover a receiver in the middle of a change."""

LONGEST_RETRY_AFTER: Final = timedelta(hours=24)
"""What a far side may ask for at most, so that it cannot put a delivery off for ever."""

WORKER_LOST: Final = "The worker was lost while it was sending."

_NONE: Final = DecisionReason.UNSPECIFIED
# The roll that changes no delay: a lease is as long for all.
_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """How long to wait before each attempt: `delays[0]` before the first, and so on.

    After as many attempts as there are delays, a delivery is dead. Every delay but the first
    varies by `jitter` (0.2 is ± 20 %), so that what failed together does not return together.
    """

    delays: tuple[timedelta, ...]
    jitter: float = 0.2

    def delay_after(self, failures: int, roll: float) -> timedelta | None:
        """Return the wait after so many failed attempts, None when that was the last.

        `roll` is a random number, 0 ≤ roll < 1.
        """
        if failures >= len(self.delays):
            return None
        return with_jitter(self.delays[failures], self.jitter, roll)


DEFAULT_SCHEDULE: Final = RetrySchedule(
    tuple(
        timedelta(seconds=seconds)
        for seconds in (0, 5, 30, 120, 300, 900, 1800, 3600, 7200, 14400, 28800, 28800)
    )
)
"""About a day: long enough for a receiver to be mended in working hours."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt.

    `reason` is why it is DEAD, else UNSPECIFIED; `detail` says for people what was met.
    `retry_count` is how many attempts of this set of retries have failed. `maybe_told` says
    that this attempt told the far side, or may have.
    """

    state: DeliveryState
    reason: DecisionReason
    detail: str
    retry_count: int
    next_attempt_time: datetime | None
    maybe_told: bool


def after_attempt(
    receipt: Receipt, *, retry_count: int, schedule: RetrySchedule, now: datetime, roll: float
) -> Verdict:
    """Decide by what the attempt met. `retry_count` is that before the attempt."""
    if receipt.outcome is AttemptOutcome.DELIVERED:
        return Verdict(DeliveryState.DELIVERED, _NONE, "", retry_count, None, maybe_told=True)
    failures = retry_count + 1
    maybe_told = receipt.outcome is AttemptOutcome.AMBIGUOUS
    if receipt.disable_channel:
        detail = f"The far side asked not to be called again: {receipt.detail}"
        gone = DecisionReason.CHANNEL_GONE
        return Verdict(DeliveryState.DEAD, gone, detail, failures, None, maybe_told)
    if receipt.outcome is AttemptOutcome.REFUSED and failures >= REFUSED_ATTEMPTS:
        return _dead(DecisionReason.REFUSED, failures, receipt.detail, maybe_told=maybe_told)
    wait = schedule.delay_after(failures, roll)
    if wait is None:
        return _exhausted(failures, receipt.detail, maybe_told=maybe_told)
    asked = min(receipt.retry_after or timedelta(), LONGEST_RETRY_AFTER)
    due = now + max(wait, asked)
    return Verdict(DeliveryState.PENDING, _NONE, receipt.detail, failures, due, maybe_told)


def not_begun(*, retry_count: int, now: datetime) -> Verdict:
    """Decide for a delivery that was claimed and not begun: it waits again, as it did before."""
    return Verdict(DeliveryState.PENDING, _NONE, "", retry_count, now, maybe_told=False)


def after_loss(
    *, retry_count: int, schedule: RetrySchedule, lease: timedelta, now: datetime
) -> Verdict:
    """Decide for a delivery whose worker never settled it.

    It counts as an attempt, so that a delivery which kills its worker ends as well, but no sooner
    than others: a service that is killed again and again must not use up a day of retries in
    minutes. The lease that has passed is a part of the wait, often all of it.
    """
    failures = retry_count + 1
    wait = schedule.delay_after(failures, roll=_EVEN)
    if wait is None:
        return _exhausted(failures, WORKER_LOST, maybe_told=True)
    due = now + max(timedelta(), wait - lease)
    return Verdict(DeliveryState.PENDING, _NONE, WORKER_LOST, failures, due, maybe_told=True)


def _exhausted(failures: int, detail: str, *, maybe_told: bool) -> Verdict:
    return _dead(DecisionReason.ATTEMPTS_EXHAUSTED, failures, detail, maybe_told=maybe_told)


def _dead(reason: DecisionReason, failures: int, detail: str, *, maybe_told: bool) -> Verdict:
    attempts = "1 attempt" if failures == 1 else f"{failures} attempts"
    detail = f"Given up after {attempts}. The last one: {detail}"
    return Verdict(DeliveryState.DEAD, reason, detail, failures, None, maybe_told)
