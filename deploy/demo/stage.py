"""How the story is told and checked: numbered steps, each of which must be seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_POLL_SECONDS = 0.05
_WIDTH = 110


class NotSeenError(Exception):
    """A step did not show what it must show."""


class Stage:
    """Tells the steps on standard output and counts them."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self.steps = 0

    @property
    def seconds(self) -> float:
        """How long the story has run."""
        return time.monotonic() - self._begin

    def step(self, title: str) -> None:
        """Begin a step."""
        self.steps += 1
        print(f"\n{self.steps}. {title}", flush=True)

    def tell(self, text: str) -> None:
        """Print lines of a step, the long ones cut."""
        for line in text.splitlines():
            shown = line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
            print(f"   {shown}", flush=True)

    def expect(self, truth: bool, what: str) -> None:
        """Go on only if this is so. `what` says what must be seen."""
        if not truth:
            raise NotSeenError(f"Step {self.steps}: not seen: {what}.")

    def wait_for(
        self, look: Callable[[], _T], fits: Callable[[_T], bool], what: str, seconds: float = 10
    ) -> _T:
        """Look again and again until what is seen fits, and return it."""
        deadline = time.monotonic() + seconds
        while not fits(seen := look()):
            if time.monotonic() > deadline:
                raise NotSeenError(f"Step {self.steps}: not seen within {seconds:.0f} s: {what}.")
            time.sleep(_POLL_SECONDS)
        return seen
