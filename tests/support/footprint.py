"""How much a process holds over time: memory, descriptors and so on; and how fast that grows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3_600.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process held at a moment, in seconds."""

    at: float
    memory: int
    descriptors: int
    threads: int
    tasks: int


def footprint_of(pid: int, at: float, tasks: int) -> Footprint:
    """Read it from /proc; see proc(5) for the fields. `tasks` are of its event loop."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    descriptors = sum(1 for _ in (folder / "fd").iterdir())
    threads = sum(1 for _ in (folder / "task").iterdir())
    return Footprint(at, pages * os.sysconf("SC_PAGE_SIZE"), descriptors, threads, tasks)


def mib_an_hour(seen: Sequence[Footprint]) -> float:
    """Return the slope of the memory, by least squares."""
    times = [each.at / HOUR for each in seen]
    return linear_regression(times, [each.memory / MIB for each in seen]).slope
