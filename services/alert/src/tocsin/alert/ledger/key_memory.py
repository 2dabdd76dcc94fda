"""What this process last knew of keys: to decide by, never to answer by.

Others write the same keys, so what is kept here may be out of date at any time. Whatever is
decided by it is written, and answered, only after the database was asked whether it still holds.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.key import Key
    from tocsin.alert.engine.transitions import KeyState
    from tocsin.alert.ledger.alert_book import AlertBook

_KEYS = 1_500
_BYTES = 6 * 2**20
# About what Python takes for a key and an alert with short texts, and at most for one label.
_BYTES_OF_ONE = 1_800
_BYTES_OF_LABEL = 640


class Known(NamedTuple):
    """A key as it was written or read last, with its host if that was put."""

    state: KeyState
    host: Host | None
    bytes: int


class KeyMemory:
    """The keys that were written last, at most `keys` of them and about `bytes_` in all."""

    def __init__(self, keys: int = _KEYS, bytes_: int = _BYTES) -> None:
        self._most_keys = keys
        self._most_bytes = bytes_
        self._bytes = 0
        self._known: OrderedDict[Key, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """Return what is known of keys, as far as anything is."""
        known = self._known
        return {key: each for key in keys if (each := known.get(key)) is not None}

    def keep(self, book: AlertBook) -> None:
        """Take what a committed batch has read and left of its keys."""
        known, changed, host_of, total = (
            self._known,
            book.changed_states,
            book.hosts.get,
            self._bytes,
        )
        for key, read in book.states.items():
            state, host = changed.get(key, read), host_of(key[0])
            size = _bytes_of(state.alert, host)
            before = known.get(key)
            if before is not None:
                known.move_to_end(key)
                total -= before.bytes
            known[key] = Known(state, host, size)
            total += size
        self._bytes = total
        while len(known) > self._most_keys or self._bytes > self._most_bytes:
            self._bytes -= known.popitem(last=False)[1].bytes

    def forget(self, keys: Iterable[Key]) -> None:
        """Know nothing of keys any more."""
        for key in keys:
            if (known := self._known.pop(key, None)) is not None:
                self._bytes -= known.bytes


def _bytes_of(alert: Alert | None, host: Host | None) -> int:
    labels = len(host.spec.labels) if host else 0
    if alert is None:
        return _BYTES_OF_ONE + _BYTES_OF_LABEL * labels
    labels += len(alert.labels) + len(alert.host_labels)
    texts = len(alert.message) + len(alert.acknowledgement.note if alert.acknowledgement else "")
    return _BYTES_OF_ONE + 2 * texts + _BYTES_OF_LABEL * labels
