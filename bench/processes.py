"""What /proc tells of a running process and of those that it has started (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and all that it has started, themselves or by others, that still run."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Return how much time of a core a process and its family have used so far."""
    return sum(
        (int(fields[11]) + int(fields[12])) / _TICKS
        for each in family(pid)
        if (fields := _stat(each))
    )


def memory_mebibytes(pid: int, line: str = "VmRSS") -> float:
    """Return how much memory a process and its family hold; `VmHWM` for the most they ever did."""
    return sum(_kibibytes(each, line) for each in family(pid)) / 1024


def _kibibytes(pid: int, line: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(each.split()[1]) for each in status if each.startswith(f"{line}:")), 0)


def _stat(pid: int) -> list[str]:
    """Return the fields of a process from its state on; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
