"""Whether a history of concurrent calls could have happened one after the other. Pure.

The search of Wing and Gong, with the memory of Lowe: take any call that began before every other
one that is left had ended, do it to the state, go on with the rest, and never come twice to the
same rest in the same state. A history of many keys is legal when that of each key is
(Herlihy and Wing: linearizability is local), so this is asked for one key at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

Operation = TypeVar("Operation")
State = TypeVar("State", bound="Hashable")

NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Call(Generic[Operation]):
    """What was called, with its answer if there was one, and between which moments.

    A call that was not answered has no end: it may have been carried out at any moment since it
    began, or never.
    """

    operation: Operation
    began: float
    ended: float = NEVER

    @property
    def is_answered(self) -> bool:
        return self.ended < NEVER


def order_of(
    calls: Sequence[Call[Operation]],
    initial: State,
    after: Callable[[State, Operation], Iterable[State]],
) -> list[Call[Operation]] | None:
    """Return an order in which the calls could have been carried out, None when there is none.

    `after` gives the states in which an operation, answered as it was, may leave a state: none
    when that answer is not possible there. It is in keeping with the order of time: a call that
    ended before another one began comes before it. Unanswered calls may be left out.
    """
    return _Search(sorted(calls, key=lambda call: call.ended), after).run(initial)


class _Search(Generic[Operation, State]):
    """Depth first, on a stack of its own: a history may be longer than Python's."""

    def __init__(
        self,
        calls: Sequence[Call[Operation]],
        after: Callable[[State, Operation], Iterable[State]],
    ) -> None:
        self._calls = calls
        self._after = after
        self._answered = sum(1 << place for place, call in enumerate(calls) if call.is_answered)
        self._seen: set[tuple[int, State]] = set()

    def run(self, initial: State) -> list[Call[Operation]] | None:
        path: list[int] = []
        branches = [self._next(0, initial)]
        done = 0
        while branches:
            if not self._answered & ~done:
                return [self._calls[place] for place in path]
            step = next(branches[-1], None)
            if step is None:
                branches.pop()
                if path:
                    done &= ~(1 << path.pop())
                continue
            place, state = step
            path.append(place)
            done |= 1 << place
            branches.append(self._next(done, state))
        return None

    def _next(self, done: int, state: State) -> Iterator[tuple[int, State]]:
        """Yield what could have come next, each rest and state once in the whole search."""
        left = [place for place in range(len(self._calls)) if not done >> place & 1]
        first_end = min((self._calls[place].ended for place in left), default=NEVER)
        for place in left:
            call = self._calls[place]
            if call.began > first_end:
                continue
            for following in self._after(state, call.operation):
                if not call.is_answered and following == state:
                    continue  # the same as never
                reached = done | 1 << place, following
                if reached not in self._seen:
                    self._seen.add(reached)
                    yield place, following
