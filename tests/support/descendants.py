"""The processes that a process has started, and theirs: to see that none is left behind."""

from __future__ import annotations

import time
from pathlib import Path

_WITHIN_SECONDS = 20.0
_POLL_SECONDS = 0.02


def descendants_of(pid: int) -> set[int]:
    """Return the process ids below a process, as /proc shows them."""
    parents = dict(_parents())
    found: set[int] = set()
    waiting = {pid}
    while waiting:
        waiting = {child for child, parent in parents.items() if parent in waiting} - found
        found |= waiting
    return found


def all_gone(pids: set[int]) -> bool:
    """Wait until none of these processes runs any more. A zombie counts as gone."""
    deadline = time.monotonic() + _WITHIN_SECONDS
    while any(_runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)  # a process that is not our child gives no signal
    return True


def _parents() -> list[tuple[int, int]]:
    found = []
    for folder in Path("/proc").iterdir():
        state = _state(int(folder.name)) if folder.name.isdigit() else None
        if state is not None:
            found.append((int(folder.name), int(state[1])))
    return found


def _runs(pid: int) -> bool:
    state = _state(pid)
    return state is not None and state[0] != "Z"


def _state(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name: state, parent, …"""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return told.rpartition(")")[2].split()
