"""What a reader makes of a position and of a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.eventlog import EPOCH, OTHER_EPOCH, entries, entry, revisions
from tocsin.alert.domain.event import Position
from tocsin.alert.eventlog.checks import entries_after, start_after
from tocsin.alert.eventlog.log import Bounds, Page
from tocsin.common.errors import DataLossError, FailedPreconditionError, OutOfRangeError

BOUNDS = Bounds(EPOCH, oldest=11, head=20)


@pytest.mark.parametrize("revision", [10, 15, 20])
def test_a_position_within_the_log_is_where_reading_starts(revision: int) -> None:
    assert revision == start_after(BOUNDS, Position(EPOCH, revision))


def test_revision_0_is_fine_while_nothing_was_compacted() -> None:
    assert start_after(Bounds(EPOCH, oldest=1, head=20), Position(EPOCH, 0)) == 0
    assert start_after(Bounds(EPOCH, oldest=1, head=0), Position(EPOCH, 0)) == 0


def test_a_position_older_than_what_is_kept_is_told_the_oldest_one() -> None:
    with pytest.raises(OutOfRangeError) as caught:
        start_after(BOUNDS, Position(EPOCH, 9))
    assert "REVISION_COMPACTED" == caught.value.reason
    assert {
        "oldest_revision": "10",
        "head_revision": "20",
        "epoch": str(EPOCH),
    } == caught.value.metadata


def test_a_position_ahead_of_the_log_is_told_its_end() -> None:
    with pytest.raises(OutOfRangeError) as caught:
        start_after(BOUNDS, Position(EPOCH, 21))
    assert "REVISION_FUTURE" == caught.value.reason
    assert {"head_revision": "20", "epoch": str(EPOCH)} == caught.value.metadata


@pytest.mark.parametrize("revision", [0, 15, 99])
def test_a_position_of_another_epoch_is_told_the_present_one(revision: int) -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        start_after(BOUNDS, Position(OTHER_EPOCH, revision))
    assert "EPOCH_CHANGED" == caught.value.reason
    assert {"epoch": str(EPOCH)} == caught.value.metadata


def test_a_page_that_follows_the_cursor_is_taken() -> None:
    page = Page(EPOCH, oldest=11, head=20, entries=entries(11, 20))
    assert list(range(11, 21)) == revisions(entries_after(page, 10))


def test_an_empty_page_at_the_end_is_no_gap() -> None:
    assert () == entries_after(Page(EPOCH, oldest=11, head=20, entries=()), 20)


def test_a_reader_overtaken_by_compaction_learns_so() -> None:
    page = Page(EPOCH, oldest=15, head=20, entries=entries(15, 20))
    with pytest.raises(OutOfRangeError) as caught:
        entries_after(page, 10)
    assert "REVISION_COMPACTED" == caught.value.reason


def test_a_log_that_ends_before_the_cursor_is_no_empty_page() -> None:
    with pytest.raises(OutOfRangeError) as caught:
        entries_after(Page(EPOCH, oldest=1, head=5, entries=()), 10)
    assert "REVISION_FUTURE" == caught.value.reason


@given(st.integers(0, 10), st.integers(2, 10), st.data())
def test_a_missing_entry_is_a_broken_log(after: int, size: int, data: st.DataObject) -> None:
    whole = entries(after + 1, after + size)
    lost = data.draw(st.integers(0, size - 2))
    page = Page(EPOCH, 1 if after else 0, after + size, whole[:lost] + whole[lost + 1 :])
    with pytest.raises(DataLossError) as caught:
        entries_after(page, after)
    assert "LOG_BROKEN" == caught.value.reason


def test_a_gap_is_not_taken_for_a_compaction_while_older_entries_are_kept() -> None:
    page = Page(EPOCH, oldest=3, head=20, entries=(entry(12), entry(13)))
    with pytest.raises(DataLossError):
        entries_after(page, 10)
