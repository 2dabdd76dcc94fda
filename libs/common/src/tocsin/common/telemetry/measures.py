"""What is measured, as plain values: numbers that a hot path counts up, and their readings.

Nothing here locks: all of a service runs in one event loop. What counts costs well under a
microsecond; names, labels and text are made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["counter", "gauge", "histogram"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of a histogram of times in which a machine answers."""

LONG_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Bounds of a histogram of times in which people are told."""

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Bounds of a histogram of numbers of things."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name with its unit, what it means, and what its series differ by.

    https://prometheus.io/docs/practices/naming/. A label takes few values: never the id of a host
    or an alert.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    def of(self, value: float | Histogram, *labels: str) -> Reading:
        """Return a value of one series; `labels` in the order of the family's."""
        return Reading(self, labels, value)


class Histogram:
    """Counts observations by upper bounds, which are inclusive, and sums them up."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Return each bound with how many were at most that; the last one is infinite."""
        below = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            below += count
            yield bound, below

    @property
    def count(self) -> int:
        return sum(self._counts)


class Counts(defaultdict[tuple[str, ...], int]):
    """How often each combination of labels came: `counts[method, code] += 1`."""

    def __init__(self) -> None:
        super().__init__(int)

    def readings(self, family: Family) -> Iterator[Reading]:
        for labels, count in self.items():
            yield Reading(family, labels, count)


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of one series at one moment."""

    family: Family
    labels: tuple[str, ...]
    value: float | Histogram
