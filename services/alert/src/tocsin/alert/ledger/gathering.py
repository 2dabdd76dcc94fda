"""How many commands a batch waits for."""

from __future__ import annotations

from typing import Final

LONGEST_SECONDS: Final = 0.003

_SHARE: Final = 0.8


class Gathering:
    """Says how large the next batch is to become, and how long it may wait for that.

    A transaction costs about as much as 25 commands in it, so it pays to let callers who have just
    been answered come again before the next begins. It is worth the while of those who wait if
    about as many come as the last time, and if they wait no longer than writing takes. Whoever
    is alone is never kept waiting.
    """

    def __init__(self, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest = longest_seconds
        self._size = 0.0
        self._seconds = 0.0

    @property
    def wanted(self) -> int:
        """How many commands are worth to wait for: one, or four in five of the last batch."""
        return max(1, int(_SHARE * self._size))

    @property
    def seconds(self) -> float:
        """For how long: as the last batch took to be written, within bounds."""
        return min(self._seconds, self._longest)

    def wrote(self, size: int, seconds: float) -> None:
        """Learn of a batch. One that was much smaller than those before it counts for less."""
        self._size = max(size, _SHARE * self._size)
        self._seconds = seconds
