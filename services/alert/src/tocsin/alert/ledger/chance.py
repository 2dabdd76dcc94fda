"""Whether to try what often succeeds, and costs more than it saves when it does not."""

from __future__ import annotations

_LONGEST_PAUSE = 256


class Chance:
    """Leaves turns out after failures: four times as many after each, half after each success."""

    __slots__ = ("_left_out", "_pause")

    def __init__(self) -> None:
        self._pause = 1
        self._left_out = 0

    def is_taken(self) -> bool:
        """Begin a turn, and tell whether to try. Then tell `ended` how it went."""
        if self._left_out == 0:
            return True
        self._left_out -= 1
        return False

    def ended(self, *, well: bool) -> None:
        """Take note of a try."""
        if well:
            self._pause = max(1, self._pause // 2)
        else:
            self._left_out = self._pause
            self._pause = min(_LONGEST_PAUSE, 4 * self._pause)
