"""Rows of one batch: as they were read, and as the commands so far have left them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """What is known of some rows; `changed` are those to write."""

    __slots__ = ("_read", "changed")

    def __init__(self, read: Mapping[K, V]) -> None:
        self._read = read
        self.changed: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        row = self.changed.get(key)
        return self._read.get(key) if row is None else row

    def put(self, key: K, row: V) -> None:
        """Take a row as it is from now on; one that is as it was is not written."""
        if self.get(key) != row:
            self.changed[key] = row

    def rows(self) -> Iterator[V]:
        """Yield all rows as they are now."""
        yield from {**self._read, **self.changed}.values()
