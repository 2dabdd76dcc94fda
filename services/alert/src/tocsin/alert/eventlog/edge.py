"""What is published next: what this process has committed, or what was read of the log. Pure.

What holds, whatever comes in whatever order:

* Only the tail's reads begin an epoch, move the head otherwise than by one entry after the other,
  or find a gap. A commit of this process is published only when it is what such a read would
  find next: of the same epoch, right after the head, while the head was the end of the log.
* A commit that is published was at the end of the log: its first revision follows the highest
  that its transaction saw, under the log's lock, which it kept. So the head is the end again.
* All else that is told of a commit is a hint to read: whether it was published before, came out
  of order, has another epoch, or follows what others committed.
* A page was read at a moment of its own. What it has up to the head was published since, and what
  it says against the head is asked again.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

import structlog

from tocsin.alert.eventlog.checks import broken, entries_after
from tocsin.common.errors import DataLossError, OutOfRangeError

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.eventlog.log import Appended, Page

_log = structlog.get_logger(__name__)


class Next(Enum):
    """What is to be done after a page: nothing, read on, or give the log a new epoch first."""

    REST = auto()
    READ = auto()
    RENEW = auto()


class Edge:
    """Moves the end of a broadcast."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    def take_commit(self, appended: Appended) -> bool:
        """Publish what this process has committed. False when the log must be read instead."""
        broadcast = self._broadcast
        follows = (
            broadcast.is_live
            and not broadcast.failed
            and appended.epoch == broadcast.epoch
            and appended.revisions.start == broadcast.head + 1
            and bool(appended.entries)
        )
        if follows:
            broadcast.publish(appended.entries)
        return follows

    def take_page(self, page: Page, after: int) -> Next:
        """Publish what a page has that was read after a revision, the head at that time.

        Raises DataLossError (LOG_BROKEN) when the log has a gap there.
        """
        broadcast = self._broadcast
        if page.epoch != broadcast.epoch:
            self.begin(page.epoch, page.head)
            return Next.READ
        try:
            entries = entries_after(page, after)
        except (OutOfRangeError, DataLossError) as error:
            if broadcast.head != after:
                return Next.READ
            if isinstance(error, OutOfRangeError):
                return self._skip(page, after)
            self._stop_at_gap(page, after)
            raise
        if broadcast.failed:  # the gap is no more
            broadcast.open(page.epoch, after)
        if news := entries[broadcast.head - after :]:
            broadcast.publish(news)
        return Next.READ if broadcast.head < page.head else Next.REST

    def begin(self, epoch: UUID, head: int) -> None:
        """Begin anew at the end of a log."""
        self._broadcast.open(epoch, head)
        _log.info("log_opened", epoch=str(epoch), head=head)

    def _skip(self, page: Page, after: int) -> Next:
        """Go on where the log begins, or, when it has lost its end, under a new epoch."""
        if page.head < after:
            _log.error("log_lost_its_end", after=after, head=page.head)
            return Next.RENEW
        _log.warning("tail_overtaken_by_compaction", after=after, oldest=page.oldest)
        self._broadcast.open(page.epoch, page.oldest - 1)
        return Next.READ

    def _stop_at_gap(self, page: Page, after: int) -> None:
        if not self._broadcast.failed:
            self._broadcast.gaps_found += 1
            _log.error("log_broken", after=after, head=page.head)
            self._broadcast.fail(lambda: broken(after, page))
