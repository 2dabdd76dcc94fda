"""A storm is told in the first few messages and then in digests, by the tokens of a channel."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from support.cases import NOW, case_of
from support.notices import a_flap_notice
from tocsin.notify.delivery.throttle import (
    LONGEST_PAUSE,
    MOST_CARRIED,
    Share,
    next_token_time,
    paused,
    refilled,
    share_out,
)
from tocsin.notify.domain.channel import RateLimit
from tocsin.notify.domain.health import Bucket
from tocsin.notify.domain.notification import EventType, Severity
from tocsin.notify.domain.own import KIND_CANARY, OWN_HOST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tocsin.notify.domain.telling import Case

SECONDS = timedelta(seconds=1)
RATE = RateLimit(10, 30 * SECONDS)
FULL = Bucket()
CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


def shared(
    cases: Sequence[Case],
    bucket: Bucket = FULL,
    rate: RateLimit | None = RATE,
    *,
    carries_digests: bool = True,
    room: int = 100,
    now: datetime = NOW,
) -> Share:
    parcels = [(case,) for case in cases]
    return share_out(parcels, bucket, rate, carries_digests=carries_digests, room=room, now=now)


def tokens(count: float) -> Bucket:
    return Bucket(count, NOW)


def numbers(cases: Sequence[Case]) -> list[int]:
    return [case.telling.alert_id.int for case in cases]


def test_as_long_as_there_are_tokens_each_message_is_sent_by_itself() -> None:
    share = shared([case_of(number) for number in range(10)])

    assert list(range(10)) == numbers(share.singles)
    assert ((), (), None) == (share.digests, share.held, share.until)
    assert tokens(0) == share.bucket


def test_of_more_than_there_are_tokens_the_last_token_tells_all_the_rest_in_one_digest() -> None:
    share = shared([case_of(number) for number in range(500)])

    assert list(range(9)) == numbers(share.singles)
    assert [list(range(9, 500))] == [numbers(digest) for digest in share.digests]
    assert ((), tokens(0)) == (share.held, share.bucket)


def test_the_worst_are_told_by_themselves_and_what_is_over_comes_last() -> None:
    over = [case_of(number, CRITICAL, EventType.RESOLVED) for number in range(3)]
    wrong = [case_of(3, INFO), case_of(4, CRITICAL), case_of(5), case_of(6, CRITICAL)]

    share = shared([*over, *wrong], tokens(4))

    assert [4, 6, 5] == numbers(share.singles)
    assert [[3, 0, 1, 2]] == [numbers(digest) for digest in share.digests]


def test_without_a_token_everything_waits_for_the_next_one() -> None:
    share = shared([case_of(1), case_of(2)], tokens(0.5))

    assert [1, 2] == numbers(share.held)
    assert ((), ()) == (share.singles, share.digests)
    assert share.until is not None
    assert 15 * SECONDS <= share.until - NOW <= 15.1 * SECONDS
    assert refilled(share.bucket, RATE, share.until).tokens >= 1


def test_a_channel_that_carries_no_digests_sends_as_many_as_there_are_tokens() -> None:
    share = shared([case_of(number) for number in range(5)], tokens(2), carries_digests=False)

    assert [0, 1] == numbers(share.singles)
    assert ((), [2, 3, 4]) == (share.digests, numbers(share.held))


def test_the_last_token_is_not_touched_as_long_as_room_is_what_lacks() -> None:
    share = shared([case_of(number) for number in range(500)], tokens(10), room=3)

    assert [0, 1, 2] == numbers(share.singles)
    assert ((), (), tokens(7)) == (share.digests, share.held, share.bucket)


def test_without_a_limit_as_many_are_sent_as_there_is_room_for() -> None:
    cases = [case_of(number) for number in range(5)]

    assert [0, 1, 2] == numbers(shared(cases, rate=None, room=3).singles)
    assert [0, 1, 2] == numbers(shared(cases, rate=RateLimit(0, SECONDS), room=3).singles)


def test_a_group_is_one_message_and_costs_one_token() -> None:
    group = tuple(case_of(number) for number in range(3))

    share = share_out(
        [group, (case_of(3),)], tokens(2), RATE, carries_digests=True, room=8, now=NOW
    )

    assert [[0, 1, 2]] == [numbers(digest) for digest in share.digests]
    assert ([3], tokens(0)) == (numbers(share.singles), share.bucket)


def test_a_group_on_a_channel_without_digests_is_told_one_by_one() -> None:
    group = tuple(case_of(number) for number in range(3))

    share = share_out([group], FULL, None, carries_digests=False, room=8, now=NOW)

    assert ([0, 1, 2], ()) == (numbers(share.singles), share.digests)


def test_canary_notices_and_what_was_begun_go_first_and_never_into_a_digest() -> None:
    canary = case_of(1, INFO, alert={"host_id": OWN_HOST, "kind": KIND_CANARY})
    begun = case_of(2, INFO, told_as=EventType.RAISED)
    notice = case_of(3, notification=a_flap_notice())
    storm = [case_of(number, CRITICAL) for number in range(10, 30)]

    share = shared([*storm, canary, begun, notice], tokens(4))
    scarce = shared([*storm, canary, begun, notice], tokens(2))

    assert [1, 2, 3] == numbers(share.singles)
    assert [list(range(10, 30))] == [numbers(digest) for digest in share.digests]
    assert ([1, 2], ()) == (numbers(scarce.singles), scarce.digests)
    assert [3, *range(10, 30)] == numbers(scarce.held)


def test_a_digest_carries_no_more_than_a_thousand() -> None:
    share = shared([case_of(number) for number in range(1_500)], tokens(1))

    assert [MOST_CARRIED] == [len(digest) for digest in share.digests]
    assert 500 == len(share.held)


def test_a_pause_that_the_far_side_asked_for_holds_everything_with_and_without_a_limit() -> None:
    asked = paused(tokens(5), 90 * SECONDS, NOW)

    for rate in (RATE, None):
        share = shared([case_of(1)], asked, rate)
        assert ([1], NOW + 90 * SECONDS, asked) == (
            numbers(share.held),
            share.until,
            share.bucket,
        )
        assert [1] == numbers(shared([case_of(1)], asked, rate, now=NOW + 90 * SECONDS).singles)


def test_a_pause_is_at_most_an_hour_and_a_shorter_one_does_not_end_it() -> None:
    long = paused(FULL, timedelta(days=1), NOW)

    assert Bucket(1.0, NOW + LONGEST_PAUSE) == long
    assert long == paused(long, SECONDS, NOW)
    assert FULL == paused(FULL, timedelta(), NOW)


@given(
    count=st.integers(0, 60),
    present=st.floats(0, 10),
    room=st.integers(1, 20),
    carries_digests=st.booleans(),
    begun=st.sets(st.integers(0, 59)),
    groups=st.integers(1, 5),
)
def test_nothing_is_told_twice_or_lost_and_no_more_is_sent_than_tokens_and_room_allow(  # noqa: PLR0917
    count: int, present: float, room: int, carries_digests: bool, begun: set[int], groups: int
) -> None:
    cases = [
        case_of(number, told_as=EventType.RAISED if number in begun else None)
        for number in range(count)
    ]
    parcels = [tuple(cases[start : start + groups]) for start in range(0, count, groups)]

    share = share_out(
        parcels, tokens(present), RATE, carries_digests=carries_digests, room=room, now=NOW
    )

    named = [*share.singles, *chain.from_iterable(share.digests), *share.held]
    sent = len(share.singles) + len(share.digests)
    assert len({case.delivery_id for case in named}) == len(named)
    assert sent <= min(int(present), room)
    assert abs(present - sent - share.bucket.tokens) < 0.001
    assert not any(case.told_as for case in chain.from_iterable(share.digests))
    assert all(len(digest) > 1 for digest in share.digests)
    assert carries_digests or not share.digests
    assert bool(share.held) == (share.until is not None)
    # What is in none of them waits for room alone.
    assert len(named) == count or sent == room
    # Where something may be told, something is.
    assert bool(sent) == (count > 0 and int(present) > 0)


@given(steps=st.lists(st.tuples(st.floats(0, 120), st.integers(0, 12)), max_size=20))
def test_over_any_time_no_more_is_sent_than_the_burst_and_what_came_back(
    steps: list[tuple[float, int]],
) -> None:
    bucket, now, sent = FULL, NOW, 0
    for pause, wanted in steps:
        now += pause * SECONDS
        share = shared([case_of(number) for number in range(wanted)], bucket, now=now)
        bucket, sent = share.bucket, sent + len(share.singles) + len(share.digests)

        assert sent <= RATE.burst + (now - NOW) / RATE.refill_period + 0.001


@given(present=st.floats(0, 0.999), period=st.floats(0.01, 10_000))
def test_at_the_time_of_the_next_token_there_is_one(present: float, period: float) -> None:
    rate = RateLimit(3, period * SECONDS)
    due = next_token_time(tokens(present), rate, NOW)

    assert refilled(tokens(present), rate, due).tokens >= 1


def test_a_bucket_holds_no_more_than_its_burst() -> None:
    assert 10 == refilled(tokens(9.5), RATE, NOW + timedelta(days=1)).tokens
    assert 10 == refilled(FULL, RATE, NOW).tokens
