"""What a fault test did and saw, in figures: printed, and kept in a file where one is named."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Figure = int | float | str


class Figures:
    """Records what one test saw.

    `file` is where the lines of all tests go, in all processes of a run: each is written by one
    write(2) at the end of the file, so that none cuts another in two.
    """

    def __init__(self, test: str, file: Path | None = None) -> None:
        self._test = test
        self._file = file
        self._began = time.monotonic()

    def record(self, *, fault: str, seed: int | None = None, **counts: Figure) -> None:
        """Print a line, and keep it in the file if there is one.

        `fault` is a row of docs/reliability.py, `seed` what repeats the run, and each of `counts`
        is named as it is to be read, with underscores for spaces.
        """
        seconds = round(time.monotonic() - self._began, 1)
        line = {"fault": fault, "test": self._test, "seconds": seconds, "seed": seed} | counts
        text = json.dumps(line, ensure_ascii=False)
        print(text)  # noqa: T201
        if self._file is not None:
            _append(self._file, f"{text}\n".encode())


def _append(file: Path, line: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)
