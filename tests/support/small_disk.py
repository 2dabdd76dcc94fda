"""A disk of its own with little room: a file system in memory, where it may be mounted."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = bytes(1 << 16)


@dataclass(frozen=True)
class SmallDisk:
    """What is mounted at `folder`. Anybody may look for what is in it by its name."""

    folder: Path

    def fill(self) -> None:
        """Leave no room at all."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(_PIECE)

    def ease(self) -> None:
        """Give back what was taken."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def small_disk(mebibytes: int) -> Iterator[SmallDisk]:
    """Mount one; where that is not permitted, the test is skipped."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-disk-"))
    options = f"size={mebibytes}m,mode=711"
    mounting = ("mount", "-t", "tmpfs", "-o", options, "tocsin-test", str(folder))
    try:
        answer = subprocess.run(mounting, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        folder.rmdir()
        pytest.skip("there is no mount(8)")
    if answer.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no file system may be mounted: {answer.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(("umount", str(folder)), check=True)
        folder.rmdir()
