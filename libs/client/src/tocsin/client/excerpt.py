"""The first and the last of what a program said, in bounded memory."""

from __future__ import annotations

import re
from collections import deque

_HEAD_BYTES = 5 << 10
_TAIL_BYTES = 9 << 10
_LINE_BYTES = 2 << 10
# What clears or colours a line on a terminal.
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def plain(text: str) -> str:
    """Return text without control characters and halves of characters: no report may bear them."""
    return _CONTROL.sub("", text).encode(errors="replace").decode()


class Excerpt:
    """Lines as they come: the first 5 KiB of them and the last 9 KiB, each cut at 2 KiB.

    Both matter: what could not be read is told at the beginning, why a run failed at the end.
    """

    def __init__(self) -> None:
        self._head: list[str] = []
        self._head_room = _HEAD_BYTES
        self._tail: deque[str] = deque()
        self._tail_room = _TAIL_BYTES
        self._left_out = 0

    def add(self, line: str) -> None:
        """Take in a line, without the codes that steer a terminal. An empty one is left out."""
        shown = _cut(plain(_STEERING.sub("", line).rstrip().rsplit("\r", 1)[-1]))
        if not shown:
            return
        size = _size(shown)
        if not self._tail and size <= self._head_room:
            self._head.append(shown)
            self._head_room -= size
            return
        self._tail.append(shown)
        self._tail_room -= size
        while self._tail_room < 0:
            self._tail_room += _size(self._tail.popleft())
            self._left_out += 1

    def text(self) -> str:
        """Return what was kept, with a mark where lines were left out."""
        gap = [f"[{self._left_out} lines left out]"] if self._left_out else []
        return "\n".join([*self._head, *gap, *self._tail])


def _size(line: str) -> int:
    return len(line.encode()) + 1


def _cut(line: str) -> str:
    whole = line.encode()
    if len(whole) <= _LINE_BYTES:
        return line
    return whole[:_LINE_BYTES].decode(errors="ignore") + " […]"
