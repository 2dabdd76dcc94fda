"""When a delivery is tried again, and when it is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.delivery.retry import (
    DEFAULT_SCHEDULE,
    LONGEST_RETRY_AFTER,
    RetrySchedule,
    Verdict,
    after_attempt,
    after_loss,
)
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)
EVEN = 0.5  # a roll that changes no delay
OK = Receipt(AttemptOutcome.DELIVERED, 204)
AGAIN = Receipt(AttemptOutcome.RETRY, 503, "503 Service Unavailable")
REFUSED = Receipt(AttemptOutcome.REFUSED, 404, "404 Not Found")
UNSURE = Receipt(AttemptOutcome.AMBIGUOUS, 0, "connection reset")
GONE = Receipt(AttemptOutcome.REFUSED, 410, "410 Gone", disable_channel=True)


def decide(receipt: Receipt, retry_count: int = 0, roll: float = EVEN) -> Verdict:
    return after_attempt(
        receipt, retry_count=retry_count, schedule=DEFAULT_SCHEDULE, now=NOW, roll=roll
    )


def lost(retry_count: int) -> Verdict:
    return after_loss(retry_count=retry_count, schedule=DEFAULT_SCHEDULE, lease=LEASE, now=NOW)


def test_the_waits_are_those_of_the_contract_and_then_it_is_dead() -> None:
    waits = []
    for failures in range(12):
        verdict = decide(AGAIN, retry_count=failures)
        due = verdict.next_attempt_time
        waits.append(None if due is None else (due - NOW).total_seconds())

    assert [5, 30, 120, 300, 900, 1800, 3600, 7200, 14400, 28800, 28800, None] == waits
    assert DeliveryState.DEAD is verdict.state
    assert DecisionReason.ATTEMPTS_EXHAUSTED is verdict.reason
    assert "Given up after 12 attempts. The last one: 503 Service Unavailable" == verdict.detail


def test_what_was_accepted_is_delivered_and_told() -> None:
    verdict = decide(OK, retry_count=3)

    assert (DeliveryState.DELIVERED, "", None, True) == (
        verdict.state,
        verdict.detail,
        verdict.next_attempt_time,
        verdict.maybe_told,
    )


def test_a_refusal_dies_after_three_attempts() -> None:
    verdicts = [decide(REFUSED, retry_count=count) for count in range(3)]

    assert [DeliveryState.PENDING, DeliveryState.PENDING, DeliveryState.DEAD] == [
        verdict.state for verdict in verdicts
    ]
    assert DecisionReason.REFUSED is verdicts[-1].reason


def test_an_ambiguous_end_is_retried_and_counts_as_maybe_told() -> None:
    verdict = decide(UNSURE)

    assert (DeliveryState.PENDING, 1, True) == (
        verdict.state,
        verdict.retry_count,
        verdict.maybe_told,
    )


def test_a_failure_that_never_arrived_tells_nobody() -> None:
    assert not decide(AGAIN).maybe_told
    assert not decide(REFUSED).maybe_told


def test_a_far_side_that_wants_no_more_calls_ends_the_delivery_at_once() -> None:
    verdict = decide(GONE)

    assert DeliveryState.DEAD is verdict.state
    assert DecisionReason.CHANNEL_GONE is verdict.reason
    assert "The far side asked not to be called again: 410 Gone" == verdict.detail


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (timedelta(seconds=1), timedelta(seconds=5)),
        (timedelta(minutes=10), timedelta(minutes=10)),
        (timedelta(days=400), LONGEST_RETRY_AFTER),
        (timedelta(seconds=-5), timedelta(seconds=5)),
        (None, timedelta(seconds=5)),
    ],
)
def test_retry_after_is_honoured_up_to_a_day(asked: timedelta | None, expected: timedelta) -> None:
    receipt = Receipt(AttemptOutcome.RETRY, 429, "429", retry_after=asked)

    assert NOW + expected == decide(receipt).next_attempt_time


@given(
    roll=st.floats(0, 1, exclude_max=True),
    failures=st.integers(0, 10),
    asked=st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_the_wait_stays_within_the_jitter_and_is_never_shorter_than_asked(
    roll: float, failures: int, asked: timedelta
) -> None:
    receipt = Receipt(AttemptOutcome.RETRY, 429, "429", retry_after=asked)
    planned = DEFAULT_SCHEDULE.delays[failures + 1]
    bounded = min(asked, LONGEST_RETRY_AFTER)

    verdict = decide(receipt, retry_count=failures, roll=roll)

    assert verdict.next_attempt_time is not None
    wait = verdict.next_attempt_time - NOW
    assert bounded <= wait
    assert planned * 0.8 - timedelta(milliseconds=1) <= wait <= max(planned * 1.2, bounded)


@given(receipts=st.lists(st.sampled_from([AGAIN, REFUSED, UNSURE, GONE, OK]), min_size=12))
def test_every_delivery_ends_within_as_many_attempts_as_the_schedule_has(
    receipts: list[Receipt],
) -> None:
    count, attempts = 0, 0
    for receipt in receipts:
        attempts += 1
        verdict = decide(receipt, retry_count=count)
        count = verdict.retry_count
        if verdict.state is not DeliveryState.PENDING:
            break

    assert verdict.state in {DeliveryState.DELIVERED, DeliveryState.DEAD}
    assert attempts <= len(DEFAULT_SCHEDULE.delays)


def test_a_lost_worker_counts_as_an_attempt_and_the_delivery_is_due_at_once() -> None:
    verdict = lost(retry_count=0)

    assert (DeliveryState.PENDING, 1, NOW, True) == (
        verdict.state,
        verdict.retry_count,
        verdict.next_attempt_time,
        verdict.maybe_told,
    )


def test_a_loop_of_crashes_takes_as_long_as_other_failures_and_its_lease_counts() -> None:
    waits = []
    for failures in range(12):
        verdict = lost(retry_count=failures)
        due = verdict.next_attempt_time
        waits.append(None if due is None else (due - NOW + LEASE).total_seconds())

    assert [30, 30, 120, 300, 900, 1800, 3600, 7200, 14400, 28800, 28800, None] == waits
    assert DeliveryState.DEAD is verdict.state


def test_a_delivery_that_kills_its_worker_each_time_ends_as_well() -> None:
    schedule = RetrySchedule((timedelta(), timedelta()))

    verdict = after_loss(retry_count=1, schedule=schedule, lease=LEASE, now=NOW)

    assert DeliveryState.DEAD is verdict.state
    assert verdict.maybe_told
