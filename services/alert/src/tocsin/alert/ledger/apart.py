"""Which commands may be written at the same moment by one process: those on different hosts.

Between processes the database keeps them apart. Within one it need not come to that, and what
concerns a host stays in the order of its submission.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from tocsin.alert.ledger.commands import is_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tocsin.alert.ledger.call import Entry


def hosts_of(entries: Iterable[Entry]) -> set[str] | None:
    """Return the hosts that entries are reports of, None when one of them is something else."""
    hosts = {_host_of(entry) for entry in entries}
    return None if None in hosts else hosts  # type: ignore[return-value]  # mypy keeps the None


def count_apart(entries: Iterable[Entry], at_work: set[str] | None) -> int:
    """Return how many entries, from the first on, may be written beside a batch.

    `at_work` is what `hosts_of` says of it. Only reports may, and only beside reports.
    """
    if at_work is None:
        return 0
    hosts = map(_host_of, entries)
    return sum(1 for _ in takewhile(lambda host: host is not None and host not in at_work, hosts))


def count_until_half(entries: Sequence[Entry]) -> int:
    """Return how many of a batch to write so that the other half may be written beside.

    All of them, if it may not.
    """
    middle = len(entries) // 2
    rest = entries[middle:]
    return middle if count_apart(rest, hosts_of(entries[:middle])) == len(rest) else len(entries)


def _host_of(entry: Entry) -> str | None:
    return entry.command.key.host_id if is_report(entry.command) else None
