"""The recent end of the log: bounded, without a gap, one for all subscribers."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.eventlog import EPOCH, OTHER_EPOCH, entries, entry, revisions
from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.eventlog.identity import UnsettledLogError
from tocsin.common.errors import FailedPreconditionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.alert.eventlog.log import Entry

MANY = 1_000
PLENTY = 2**20


def opened(head: int = 0, *, max_entries: int = MANY, max_bytes: int = PLENTY) -> Broadcast:
    broadcast = Broadcast(max_entries=max_entries, max_bytes=max_bytes)
    broadcast.open(EPOCH, head)
    return broadcast


def taken(broadcast: Broadcast, *asked: int) -> tuple[Entry, ...]:
    run = broadcast.after(*asked)
    assert run is not None
    return run.entries


def test_a_cursor_gets_what_follows_it() -> None:
    broadcast = opened(10)
    broadcast.publish(entries(11, 20))
    found = broadcast.after(15, MANY, PLENTY)
    assert found is not None
    assert [16, 17, 18, 19, 20] == revisions(found.entries)


def test_a_cursor_at_the_end_or_ahead_of_it_gets_nothing_and_waits() -> None:
    broadcast = opened(10)
    broadcast.publish(entries(11, 20))
    assert () == taken(broadcast, 20, MANY, PLENTY)
    assert () == taken(broadcast, 25, MANY, PLENTY)


def test_a_cursor_behind_what_is_kept_is_told_to_read_pages() -> None:
    broadcast = opened(10)
    broadcast.publish(entries(11, 20))
    assert broadcast.after(10, MANY, PLENTY) is not None
    assert broadcast.after(9, MANY, PLENTY) is None


def test_a_page_is_bounded_by_count_and_by_bytes_but_never_empty() -> None:
    broadcast = opened()
    broadcast.publish(entries(1, 20))
    assert [1, 2, 3] == revisions(taken(broadcast, 0, 3, PLENTY))
    assert [1, 2, 3] == revisions(taken(broadcast, 0, MANY, 25))
    assert [1] == revisions(taken(broadcast, 0, MANY, 1))


def test_entries_that_do_not_follow_the_head_are_refused() -> None:
    broadcast = opened(10)
    with pytest.raises(ValueError, match="12 does not follow 10"):
        broadcast.publish(entries(12, 13))


def test_all_who_ask_for_the_same_are_given_the_same_until_more_is_published() -> None:
    broadcast = opened()
    broadcast.publish(entries(1, 5))
    first = broadcast.after(2, MANY, PLENTY)
    assert first is not None
    assert first is broadcast.after(2, MANY, PLENTY)
    message = first.message(EventFilter(), caught_up=True)
    assert message is first.message(EventFilter(), caught_up=True)
    broadcast.publish(entries(6, 6))
    assert [3, 4, 5, 6] == revisions(taken(broadcast, 2, MANY, PLENTY))
    assert [3, 4, 5] == revisions(first.entries)


def test_a_frame_over_the_byte_bound_is_not_kept_but_the_head_moves_on() -> None:
    broadcast = opened(max_bytes=100)
    broadcast.publish([entry(1, frame=b"x" * 200)])
    assert 1 == broadcast.head
    assert broadcast.after(0, MANY, PLENTY) is None


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 40), st.integers(1, 400))
def test_what_is_kept_is_bounded_and_ends_at_the_head(
    batches: list[int], max_entries: int, max_bytes: int
) -> None:
    broadcast = opened(max_entries=max_entries, max_bytes=max_bytes)
    head = 0
    for size in batches:
        broadcast.publish(entries(head + 1, head + size))
        head += size
    kept = next(
        found.entries
        for revision in range(head + 1)
        if (found := broadcast.after(revision, MANY, PLENTY)) is not None
    )
    assert head == broadcast.head
    assert list(range(head - len(kept) + 1, head + 1)) == revisions(kept)
    assert len(kept) <= max_entries
    assert sum(len(each.frame) for each in kept) <= max_bytes


def test_every_change_wakes_whoever_took_the_signal_before() -> None:
    broadcast = opened()
    changes: list[Callable[[], None]] = [
        lambda: broadcast.publish(entries(1, 1)),
        lambda: setattr(broadcast, "is_live", True),
        lambda: broadcast.fail(UnsettledLogError),
        lambda: broadcast.open(EPOCH, 5),
        lambda: broadcast.close(UnsettledLogError),
    ]
    for change in changes:
        changed = broadcast.changed
        assert not changed.is_set()
        change()
        assert changed.is_set()


def test_it_serves_nothing_before_it_is_opened() -> None:
    with pytest.raises(UnsettledLogError):
        Broadcast().check_open()


def test_a_stream_of_another_epoch_ends_with_the_present_one() -> None:
    broadcast = opened()
    broadcast.check(EPOCH)
    with pytest.raises(FailedPreconditionError) as caught:
        broadcast.check(OTHER_EPOCH)
    assert "EPOCH_CHANGED" == caught.value.reason
    assert {"epoch": str(EPOCH)} == caught.value.metadata


def test_a_failure_lasts_until_it_is_opened_again_and_closing_for_good() -> None:
    broadcast = opened()
    broadcast.fail(UnsettledLogError)
    assert broadcast.failed
    broadcast.open(EPOCH, 0)
    broadcast.check(EPOCH)
    broadcast.close(UnsettledLogError)
    broadcast.open(EPOCH, 0)
    with pytest.raises(UnsettledLogError):
        broadcast.check(EPOCH)


async def test_what_is_published_fast_is_told_at_once_first_and_then_together() -> None:
    seconds = 1.0
    broadcast = Broadcast(clock=lambda: seconds)
    broadcast.open(EPOCH, 0)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(broadcast.subscribed())
        first = broadcast.changed
        broadcast.publish(entries(1, 1))
        assert first.is_set()
        second = broadcast.changed
        broadcast.publish(entries(2, 2))
        broadcast.publish(entries(3, 3))
        assert not second.is_set()
        assert [1, 2, 3] == revisions(taken(broadcast, 0, MANY, PLENTY))
        async with asyncio.timeout(15):
            await second.wait()
        seconds += 1
        third = broadcast.changed
        broadcast.publish(entries(4, 4))
        assert third.is_set()


async def test_what_ends_a_stream_is_told_at_once_whatever_else_is_waiting_to_be_told() -> None:
    broadcast = Broadcast(clock=lambda: 1.0)
    broadcast.open(EPOCH, 0)
    with broadcast.subscribed():
        broadcast.publish(entries(1, 1))
        broadcast.publish(entries(2, 2))
        changed = broadcast.changed
        broadcast.fail(UnsettledLogError)
        assert changed.is_set()


def test_subscribers_are_counted_while_they_are_there() -> None:
    broadcast = opened()
    with broadcast.subscribed(), broadcast.subscribed():
        assert 2 == broadcast.subscribers
    assert 0 == broadcast.subscribers
