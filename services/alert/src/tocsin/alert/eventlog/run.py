"""Entries that follow each other, and the message of the stream that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.eventlog.frames import message

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.alert.eventlog.filter import EventFilter
    from tocsin.alert.eventlog.log import Entry


class Run:
    """Entries after a revision, none of them missing, maybe none at all.

    Whoever wants all of them is sent the same bytes, which are put together once.
    """

    __slots__ = ("_epoch", "_messages", "entries", "last")

    def __init__(self, epoch: UUID, after: int, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.last = entries[-1].revision if entries else after
        self._epoch = epoch
        self._messages: dict[bool, bytes] = {}

    def message(self, wanted: EventFilter, *, caught_up: bool) -> bytes | None:
        """Return the message for a subscriber, None when nothing in it is wanted."""
        if not wanted.takes_all:
            return self._made(wanted.pick(self.entries), caught_up=caught_up)
        made = self._messages.get(caught_up)
        if made is None and (made := self._made(self.entries, caught_up=caught_up)):
            self._messages[caught_up] = made
        return made

    def _made(self, entries: tuple[Entry, ...], *, caught_up: bool) -> bytes | None:
        if not entries:
            return None
        frames = (entry.frame for entry in entries)
        return message(frames, self._epoch, self.last, caught_up=caught_up)
