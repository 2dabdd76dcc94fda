"""Which events a subscriber wants. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.alert.eventlog.log import Entry


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Every condition must hold; an empty one always does. `min_severity` 0 is no bound."""

    host_ids: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    min_severity: int = 0
    types: frozenset[int] = frozenset()

    @property
    def takes_all(self) -> bool:
        """Whether there is no condition."""
        return not (self.host_ids or self.kinds or self.min_severity or self.types)

    def wants(self, entry: Entry) -> bool:
        return (
            entry.severity >= self.min_severity
            and (not self.types or entry.type in self.types)
            and (not self.kinds or entry.kind in self.kinds)
            and (not self.host_ids or entry.host_id in self.host_ids)
        )

    def pick(self, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Return those that are wanted."""
        if self.takes_all:
            return entries
        return tuple(entry for entry in entries if self.wants(entry))
