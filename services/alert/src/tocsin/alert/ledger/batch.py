"""What the commands on backups of one batch see and leave behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.alert.domain.job import JobKind, Stream, StreamState
from tocsin.alert.ledger.table import Table
from tocsin.alert.store.signs import StoredSigns

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.source_group import SourceGroup
    from tocsin.alert.ledger.alert_book import AlertBook
    from tocsin.alert.store.jobs import RunLine, StoredJob
    from tocsin.alert.store.schedules import StoredSchedule
    from tocsin.alert.store.source_groups import StoredSourceGroup


@dataclass(slots=True)
class Rows:
    """The rows that the commands of a batch concern.

    `unfinished` are the starts of runs without an end, by job id, after the last end that the
    line's schedule knows. `last_finishes` are when the latest run that counts ended, of lines
    whose schedule is put in this batch. `roots` are the alerts of each repository that explain
    others, as far as they were read or raised here. `groups_of_others` and `schedules_of_others`
    are pairs of an id and the host that a bound caller puts it on, of ids under which another host
    reports.
    """

    signs: Table[str, StoredSigns] = field(default_factory=lambda: Table({}))
    groups: Table[str, StoredSourceGroup] = field(default_factory=lambda: Table({}))
    schedules: Table[str, StoredSchedule] = field(default_factory=lambda: Table({}))
    jobs: Table[str, StoredJob] = field(default_factory=lambda: Table({}))
    streams: Table[Stream, StreamState] = field(default_factory=lambda: Table({}))
    unfinished: dict[RunLine, dict[str, datetime]] = field(default_factory=dict)
    last_finishes: dict[RunLine, datetime] = field(default_factory=dict)
    roots: dict[str, set[UUID]] = field(default_factory=dict)
    groups_of_others: set[tuple[str, str]] = field(default_factory=set)
    schedules_of_others: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Batch:
    """The alerts and the rows of a batch. Its time is that of the book."""

    book: AlertBook
    rows: Rows

    @property
    def now(self) -> datetime:
        return self.book.now

    def host(self, host_id: str) -> Host | None:
        """Return a host that was put, without its signs of life."""
        return self.book.hosts.get(host_id)

    def is_retired_host(self, host_id: str) -> bool:
        host = self.host(host_id)
        return host is not None and host.retire_time is not None

    def signs(self, host_id: str) -> StoredSigns:
        return self.rows.signs.get(host_id) or StoredSigns()

    def backups_of(self, group: SourceGroup) -> StreamState:
        """Return what is remembered of the backups of a source group."""
        return self.rows.streams.get(backups_of(group)) or StreamState()


def backups_of(group: SourceGroup) -> Stream:
    """Return the stream of the backups of a source group."""
    return Stream(group.spec.host_id, JobKind.BACKUP, group.spec.source_group_id)
