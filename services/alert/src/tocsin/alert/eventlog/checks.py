"""What a reader must know of a position, and the errors that say so. Pure."""

from __future__ import annotations

from operator import attrgetter, ne
from typing import TYPE_CHECKING

from tocsin.common.errors import DataLossError, FailedPreconditionError, OutOfRangeError

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.alert.domain.event import Position
    from tocsin.alert.eventlog.log import Bounds, Entry, Page

_REVISION = attrgetter("revision")


def start_after(bounds: Bounds, after: Position) -> int:
    """Return the revision to read after, if the log still holds all that follows `after`.

    Raises FailedPreconditionError (EPOCH_CHANGED) or OutOfRangeError (REVISION_COMPACTED,
    REVISION_FUTURE).
    """
    if after.epoch != bounds.epoch:
        raise epoch_changed(bounds.epoch)
    if after.revision > bounds.head:
        raise future(bounds)
    if after.revision < bounds.oldest - 1:
        raise compacted(bounds)
    return after.revision


def entries_after(page: Page, after: int) -> tuple[Entry, ...]:
    """Return the entries of a page that was read after a revision, none of them missing.

    Raises OutOfRangeError (REVISION_COMPACTED when what followed was deleted, REVISION_FUTURE
    when the log no longer reaches that far), DataLossError (LOG_BROKEN) when there is a gap.
    """
    if page.head < after:
        raise future(page)
    if not page.entries:
        return ()
    first = page.entries[0].revision
    if first > after + 1 and page.oldest == first:
        raise compacted(page)
    whole = range(after + 1, after + 1 + len(page.entries))
    if any(map(ne, whole, map(_REVISION, page.entries))):
        raise broken(after, page)
    return page.entries


def epoch_changed(epoch: UUID) -> FailedPreconditionError:
    """Return the error for a position of another epoch than the present one."""
    return FailedPreconditionError(
        "The position is of another epoch: the log was restored or moved. Take a snapshot.",
        reason="EPOCH_CHANGED",
        metadata={"epoch": str(epoch)},
    )


def compacted(log: Bounds | Page) -> OutOfRangeError:
    """Return the error for a position after which events were deleted.

    `oldest_revision` is the oldest position to resume after: one less than the oldest kept.
    """
    return OutOfRangeError(
        f"Events after this position are no longer kept; the oldest position to resume after is "
        f"{log.oldest - 1}. Take a snapshot.",
        reason="REVISION_COMPACTED",
        metadata={
            "oldest_revision": str(log.oldest - 1),
            "head_revision": str(log.head),
            "epoch": str(log.epoch),
        },
    )


def future(log: Bounds | Page) -> OutOfRangeError:
    """Return the error for a position that the log has not reached."""
    return OutOfRangeError(
        f"The position lies ahead of the log, which ends at {log.head}. Take a snapshot.",
        reason="REVISION_FUTURE",
        metadata={"head_revision": str(log.head), "epoch": str(log.epoch)},
    )


def broken(after: int, page: Page) -> DataLossError:
    """Return the error for a gap among the entries that follow a revision."""
    return DataLossError(
        f"The event log has a gap after revision {after}. The stream ends; an operator must look.",
        reason="LOG_BROKEN",
        metadata={"after_revision": str(after), "epoch": str(page.epoch)},
    )
