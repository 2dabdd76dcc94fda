"""What is published next: every revision once and in order, whatever comes in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from support.eventlog import EPOCH, OTHER_EPOCH, entries, entry, revisions
from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.eventlog.edge import Edge, Next
from tocsin.alert.eventlog.identity import UnsettledLogError
from tocsin.alert.eventlog.log import Appended, Entry, Page
from tocsin.common.errors import DataLossError

PLENTY = 2**20
MANY = 10_000
KEPT_IN_MEMORY = 8


def live(head: int = 10) -> tuple[Edge, Broadcast]:
    broadcast = Broadcast()
    broadcast.open(EPOCH, head)
    broadcast.is_live = True
    return Edge(broadcast), broadcast


def appended(first: int, last: int, epoch: UUID | None = EPOCH) -> Appended:
    return Appended(range(first, last + 1), epoch, entries(first, last))


def published(broadcast: Broadcast, after: int) -> list[int]:
    run = broadcast.after(after, MANY, PLENTY)
    assert run is not None
    return revisions(run.entries)


def test_a_commit_that_follows_the_head_is_published_at_once() -> None:
    edge, broadcast = live()
    assert edge.take_commit(appended(11, 13))
    assert [11, 12, 13] == published(broadcast, 10)


@pytest.mark.parametrize(
    "told",
    [
        appended(12, 13),
        appended(10, 11),
        appended(11, 12, OTHER_EPOCH),
        Appended(range(11, 12)),
    ],
    ids=["after a gap", "before the head", "other epoch", "no epoch"],
)
def test_any_other_commit_is_left_to_the_next_read(told: Appended) -> None:
    edge, broadcast = live()
    assert not edge.take_commit(told)
    assert 10 == broadcast.head


def test_nothing_is_published_unread_while_the_end_of_the_log_is_not_known() -> None:
    edge, broadcast = live()
    broadcast.is_live = False
    assert not edge.take_commit(appended(11, 11))
    edge, broadcast = live()
    broadcast.fail(UnsettledLogError)
    assert not edge.take_commit(appended(11, 11))


def test_a_page_that_was_being_read_meanwhile_brings_only_what_is_new() -> None:
    edge, broadcast = live()
    assert edge.take_commit(appended(11, 12))
    page = Page(EPOCH, 1, 13, entries(11, 13))
    assert Next.REST == edge.take_page(page, 10)
    assert [11, 12, 13] == published(broadcast, 10)
    assert Next.REST == edge.take_page(Page(EPOCH, 1, 12, entries(11, 12)), 10)
    assert 13 == broadcast.head


def test_what_a_page_says_against_a_head_that_has_moved_on_is_asked_again() -> None:
    edge, broadcast = live()
    assert edge.take_commit(appended(11, 12))
    for page in (
        Page(EPOCH, 15, 15, entries(15, 15)),  # compacted
        Page(EPOCH, 1, 9, ()),  # lost its end
        Page(EPOCH, 1, 15, entries(15, 15)),  # a gap
    ):
        assert Next.READ == edge.take_page(page, 10)
        assert 12 == broadcast.head
        assert not broadcast.failed


def test_a_gap_fails_the_broadcast_and_a_log_that_lost_its_end_wants_a_new_epoch() -> None:
    edge, broadcast = live()
    with pytest.raises(DataLossError):
        edge.take_page(Page(EPOCH, 1, 12, entries(12, 12)), 10)
    assert broadcast.failed
    edge, broadcast = live()
    assert Next.RENEW == edge.take_page(Page(EPOCH, 1, 9, ()), 10)


@dataclass
class Log:
    """The rows, as every reader of the database sees them: revisions `oldest` to `head`."""

    epoch: UUID = field(default_factory=lambda: UUID(int=1))
    oldest: int = 1
    head: int = 0

    def append(self, count: int) -> Appended:
        first = self.head + 1
        self.head += count
        told = range(first, self.head + 1)
        return Appended(told, self.epoch, positioned(self.epoch, told))

    def page(self, after: int, limit: int) -> Page:
        begin = max(after + 1, self.oldest)
        found = range(begin, min(begin + limit, self.head + 1))
        return Page(self.epoch, self.oldest, self.head, positioned(self.epoch, found))


def positioned(epoch: UUID, found: range) -> tuple[Entry, ...]:
    """Return entries whose frames tell their positions."""
    return tuple(entry(number, frame=f"{epoch.int}/{number}".encode()) for number in found)


@dataclass
class Reader:
    """A subscriber: where it stands, and what it has seen of one epoch."""

    epoch: UUID
    cursor: int
    seen: list[int] = field(default_factory=list)


class TwoWritersAndATail(RuleBasedStateMachine):
    """This process and another append; the tail's reads and what is told of commits interleave."""

    untold = Bundle("untold")

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.broadcast = Broadcast(max_entries=KEPT_IN_MEMORY)
        self.broadcast.open(self.log.epoch, 0)
        self.broadcast.is_live = True
        self.edge = Edge(self.broadcast)
        self.pages: list[tuple[Page, int]] = []  # being read: at most one
        self.readers: list[Reader] = [Reader(self.log.epoch, 0)]

    @rule(count=st.integers(1, 3))
    def this_process_commits_and_is_told_at_once(self, count: int) -> None:
        self.edge.take_commit(self.log.append(count))

    @rule(target=untold, count=st.integers(1, 3))
    def this_process_commits(self, count: int) -> Appended:
        return self.log.append(count)

    @rule(told=consumes(untold))
    def it_is_told_of_its_commit(self, told: Appended) -> None:
        self.edge.take_commit(told)

    @rule(count=st.integers(1, 3))
    def the_other_process_commits(self, count: int) -> None:
        self.log.append(count)

    @precondition(lambda self: not self.pages)
    @rule(limit=st.integers(1, 4))
    def the_tail_begins_to_read(self, limit: int) -> None:
        after = self.broadcast.head
        self.pages.append((self.log.page(after, limit), after))

    @precondition(lambda self: bool(self.pages))
    @rule()
    def the_tail_has_read(self) -> None:
        self._take_page()

    def _take_page(self) -> Next:
        following = self.edge.take_page(*self.pages.pop())
        assert following is not Next.RENEW
        if following is Next.REST:
            self.broadcast.is_live = True
        return following

    @rule(
        what=st.sampled_from(["away", "compacted", "renewed", "subscribed"]), part=st.floats(0, 1)
    )
    def something_rare_happens(self, what: str, part: float) -> None:
        if what == "away":
            self.pages.clear()
            self.broadcast.is_live = False
        elif what == "compacted" and self.log.head:
            self.log.oldest += int(part * (self.log.head - self.log.oldest))
        elif what == "renewed":
            self.log.epoch = UUID(int=self.log.epoch.int + 1)
        elif self.broadcast.epoch is not None:
            self.readers.append(Reader(self.broadcast.epoch, self.broadcast.head))

    @rule(data=st.data(), limit=st.integers(1, 4))
    def a_subscriber_reads(self, data: st.DataObject, limit: int) -> None:
        self._read(data.draw(st.sampled_from(self.readers)), limit)

    def _read(self, reader: Reader, limit: int) -> bool:
        """Read once, as a Subscriber does, and return whether it came further."""
        assert self.broadcast.epoch is not None
        if reader.epoch != self.broadcast.epoch:  # it is told so, and begins anew
            reader.epoch, reader.cursor, reader.seen = self.broadcast.epoch, self.broadcast.head, []
        run = self.broadcast.after(reader.cursor, limit, PLENTY)
        if run is not None:
            found = run.entries
        elif reader.cursor + 1 < self.log.oldest:  # it is told so, and takes a snapshot
            reader.cursor, reader.seen = self.log.head, []
            return True
        else:
            page = self.log.page(reader.cursor, limit)
            found = page.entries if page.epoch == reader.epoch else ()
        if found:
            assert reader.cursor + 1 == found[0].revision
            at = range(found[0].revision, found[-1].revision + 1)
            assert positioned(reader.epoch, at) == found
            reader.seen += revisions(found)
            reader.cursor = found[-1].revision
        return bool(found)

    @invariant()
    def every_subscriber_has_seen_each_revision_once_in_order(self) -> None:
        for reader in self.readers:
            last = reader.cursor
            assert list(range(last - len(reader.seen) + 1, last + 1)) == reader.seen

    @invariant()
    def nothing_is_published_that_was_not_committed(self) -> None:
        assert self.broadcast.head <= self.log.head

    def teardown(self) -> None:
        """However it went, in the end the tail reads once more, and everybody has everything."""
        self.pages.clear()
        for _ in range(2 * self.log.head + 3):
            self.the_tail_begins_to_read(4)
            if self._take_page() is Next.REST:
                break
        assert self.broadcast.is_live
        assert (self.log.epoch, self.log.head) == (self.broadcast.epoch, self.broadcast.head)
        for reader in self.readers:
            while self._read(reader, 4):
                self.every_subscriber_has_seen_each_revision_once_in_order()
            assert self.log.head == reader.cursor


TestTwoWritersAndATail = TwoWritersAndATail.TestCase
TestTwoWritersAndATail.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
