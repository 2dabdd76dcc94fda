"""Which commands may be written at the same moment by one process: those on different hosts.

Between processes the database keeps them apart. Within one it need not come to that, and what
concerns a host stays in the order of its submission.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tocsin.alert.ledger.commands import is_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tocsin.alert.ledger.call import Entry


class Split(NamedTuple):
    """Entries from the first on: what may be written now, and what it leaves behind among it."""

    apart: list[Entry]
    left: list[Entry]


def hosts_of(entries: Iterable[Entry]) -> set[str] | None:
    """Return the hosts that entries are reports of, None when one of them is something else."""
    hosts = {_host_of(entry) for entry in entries}
    return None if None in hosts else hosts  # type: ignore[return-value]  # mypy keeps the None


def split(entries: Iterable[Entry], at_work: set[str] | None, most: int) -> Split:
    """Find up to `most` entries that may be written beside a batch, in their order.

    `at_work` is what `hosts_of` says of that. Only reports may, and only beside reports of other
    hosts; and nothing overtakes what is no report.
    """
    found = Split([], [])
    if at_work is None:
        return found
    for entry in entries:
        host = _host_of(entry)
        if host is None or len(found.apart) == most:
            break
        (found.left if host in at_work else found.apart).append(entry)
    return found


def hosts_to_leave(entries: Sequence[Entry], least: int) -> set[str]:
    """Return hosts to leave to another, so that both have about half of some entries.

    None at all, if one of the two had less than `least`, or if there is more than reports.
    """
    counts = Counter(map(_host_of, entries))
    if None in counts:
        return set()
    left, total = set[str](), 0
    for host, count in reversed(counts.items()):
        if host is not None and total + count <= len(entries) // 2:
            left.add(host)
            total += count
    return left if least <= total else set()


def _host_of(entry: Entry) -> str | None:
    return entry.command.key.host_id if is_report(entry.command) else None
