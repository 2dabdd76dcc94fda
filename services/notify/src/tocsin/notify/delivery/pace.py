"""How much of a channel's queue a worker takes into its hands at a time. Pure.

Few at first, as many as are sent at one time: what a worker holds when it is killed may be told
twice, or late. A far side that takes one message after the other is trusted with more, so that
statements are shared by many; trouble ends that at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.notify.delivery.breaker import TOO_MANY_REQUESTS
from tocsin.notify.domain.delivery import AttemptOutcome

if TYPE_CHECKING:
    from tocsin.notify.domain.delivery import Receipt

MOST_IN_HAND: Final = 256
"""How many deliveries of one channel a worker holds at most, unless more are sent at one time."""

_OF_WHAT_WENT_WELL: Final = 4
_FEWER: Final = 4
# More would let failures in a row count for nothing.
_REMEMBERED: Final = MOST_IN_HAND * _OF_WHAT_WENT_WELL


class Pace:
    """What one worker has seen of one channel; `concurrency` is how many it sends at one time."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._went_well = 0

    @property
    def in_hand(self) -> int:
        """How many may be in hand: claimed, being sent, or sent and not yet written down.

        A quarter of what went well in a row, at least the concurrency.
        """
        trusted = min(MOST_IN_HAND, self._went_well // _OF_WHAT_WENT_WELL)
        return max(self._concurrency, trusted)

    def note(self, receipt: Receipt) -> None:
        """Note how an attempt ended. A far side that refuses a message is well itself."""
        if receipt.outcome is AttemptOutcome.DELIVERED:
            self._went_well = min(self._went_well + 1, _REMEMBERED)
        elif receipt.retry_after is not None or receipt.status_code == TOO_MANY_REQUESTS:
            self.doubt()
        elif receipt.outcome is not AttemptOutcome.REFUSED:
            self._went_well //= _FEWER

    def doubt(self) -> None:
        """Begin anew: the far side asks for a pause, or what was in hand was not sent in time."""
        self._went_well = 0
