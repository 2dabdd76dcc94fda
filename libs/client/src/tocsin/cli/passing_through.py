"""What a program prints, passed on unchanged and at once, and read along the way."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 18
_JOIN_SECONDS = 1.0


class Lines:
    """Bytes as they come, handed on line by line.

    A line is cut at 256 KiB, and what is no UTF-8 is replaced. Reading along must not stop what is
    passed on: when `read` fails, no more lines are handed to it.
    """

    def __init__(self, read: Callable[[str], None]) -> None:
        self._read = read
        self._begun = bytearray()
        self._is_broken = False

    def feed(self, chunk: bytes) -> None:
        """Take in what came next."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._grow(part)
            self.close()
        self._grow(rest)

    def close(self) -> None:
        """Hand on the line that has begun, if one has."""
        line = self._begun.decode(errors="replace").removesuffix("\r")
        self._begun.clear()
        if line and not self._is_broken:
            try:
                self._read(line)
            except Exception:  # noqa: BLE001 - see above
                self._is_broken = True

    def _grow(self, part: bytes) -> None:
        self._begun += part[: _LONGEST_LINE - len(self._begun)]


class Pump:
    """Copies a pipe of a child to a descriptor of ours, from a thread of its own.

    When nobody reads ours any more, the pipe is closed, so that the child learns of it as it would
    without us in between.
    """

    def __init__(self, source: IO[bytes], sink: int, read: Callable[[str], None]) -> None:
        self._source = source
        self._sink = sink
        self._lines = Lines(read)
        self._turn = threading.Lock()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Copy what is in the pipe still, when the child has ended.

        Not waited for is the end of the pipe: a grandchild may keep it open for ever.
        """
        with self._turn:
            while not self._is_over and self._is_readable():
                self._copy()
            at_end, self._is_over = self._is_over, True
            self._lines.close()
        if at_end:
            self._thread.join(_JOIN_SECONDS)
            self._source.close()

    def _run(self) -> None:
        while True:
            select.select([self._source], [], [])
            with self._turn:
                if not self._is_over:
                    self._copy()
                if self._is_over:
                    return

    def _is_readable(self) -> bool:
        readable, _, _ = select.select([self._source], [], [], 0)
        return bool(readable)

    def _copy(self) -> None:
        chunk = os.read(self._source.fileno(), _CHUNK)
        if not chunk:
            self._is_over = True
        elif not self._pass_on(chunk):
            self._is_over = True
            self._source.close()
        self._lines.feed(chunk)

    def _pass_on(self, chunk: bytes) -> bool:
        left = memoryview(chunk)
        try:
            while left:
                with suppress(BlockingIOError):
                    left = left[os.write(self._sink, left) :]
                    continue
                select.select([], [self._sink], [])
        except OSError:
            return False
        return True
