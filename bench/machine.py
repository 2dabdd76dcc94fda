"""What the machine is, so that figures can be read: a table without it means nothing."""

from __future__ import annotations

import os
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

_WRITES = 200
_PAGE = bytes(8192)


def describe_machine(folder: Path) -> dict[str, str]:
    """Describe the machine; `folder` is where the database lies."""
    return {
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
        "file system": _file_system(folder),
        "fsync of 8 KiB, median": f"{_fsync_microseconds(folder):.0f} µs",
    }


def load_average() -> str:
    """Return how busy the machine was in the last minute: what ran beside adds to it."""
    return f"{os.getloadavg()[0]:.2f}"


def _processor() -> str:
    try:
        known = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        known = None
    return known[1] if known else platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder (proc(5), mounts)."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    holding = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else "unknown"


def _fsync_microseconds(folder: Path) -> float:
    file = folder / "fsync"
    took = []
    with file.open("wb", buffering=0) as target:
        for _ in range(_WRITES):
            begin = time.perf_counter()
            target.write(_PAGE)
            os.fsync(target.fileno())
            took.append(time.perf_counter() - begin)
    file.unlink()
    return median(took) * 1e6
