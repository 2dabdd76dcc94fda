"""How long calls took: percentiles by nearest rank, which is always a value that was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that at least `share` (0 to 1) of the values do not exceed.

    `ordered` rises. Raises ValueError when it is empty.
    """
    if not ordered:
        raise ValueError("Nothing was measured: there is no percentile of nothing.")
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def p50_and_p99(values: Iterable[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile of values in any order."""
    ordered = sorted(values)
    return percentile(ordered, 0.5), percentile(ordered, 0.99)
