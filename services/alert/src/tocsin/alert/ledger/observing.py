"""What is told of the writer lanes to whoever measures it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.alert.ledger.call import Entry


class LaneObserver(Protocol):
    """Hears of each batch."""

    def wrote(self, entries: Sequence[Entry], seconds: float) -> None:
        """Take note of a batch that has been settled, and of the time that it took.

        It must be quick and never raise.
        """
        ...


class Nobody:
    """Takes no note."""

    def wrote(self, entries: Sequence[Entry], seconds: float) -> None:
        """Do nothing."""
