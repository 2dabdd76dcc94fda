"""Which keys and rows the commands of a batch concern, known before anything is locked.

All commands about the backups of a host hold one key in common, that of its silence: it is the
lock of everything that lies on the host. Hosts, source groups and schedules stay where they are
for life, so it is known before which keys to lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.alert.domain.job import JobKind, Stream
from tocsin.alert.domain.key import Key
from tocsin.alert.engine.heartbeats import offline_key
from tocsin.alert.engine.job_results import keys_of
from tocsin.alert.engine.stale_schedules import STALE_SCHEDULE
from tocsin.alert.ledger.backup_commands import (
    CallOffline,
    FinishJob,
    Hear,
    MissRun,
    PutHost,
    PutSchedule,
    PutSourceGroup,
    RetireHost,
    RetireSchedule,
    RetireSourceGroup,
    Rise,
    StartJob,
)
from tocsin.alert.ledger.commands import AutoResolve, RaiseOrTouch
from tocsin.alert.ledger.group_keys import own_keys
from tocsin.alert.store.jobs import RunLine
from tocsin.alert.store.schedules import SchedulePlace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.alert.domain.job import Job
    from tocsin.alert.ledger.commands import Command


@dataclass(slots=True)
class Scope:
    """What a batch concerns.

    `whole_hosts` are those all of whose source groups and schedules are needed, `whole_groups`
    those all of whose schedules are. `lines` are of runs that are reported, `new_lines` of
    schedules that are put, and all lines of `anew` may be begun anew. `repositories` are those
    whose alerts may explain what is raised.
    """

    keys: set[Key] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    schedules: set[str] = field(default_factory=set)
    whole_hosts: set[str] = field(default_factory=set)
    whole_groups: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    streams: set[Stream] = field(default_factory=set)
    lines: set[RunLine] = field(default_factory=set)
    new_lines: set[RunLine] = field(default_factory=set)
    anew: set[str] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)

    @property
    def has_backups(self) -> bool:
        return bool(self.hosts)

    def add(self, command: Command) -> None:
        """Add what a command concerns by itself, without what only the registry knows."""
        match command:
            case RaiseOrTouch():
                self.keys.add(command.failure.key)
            case AutoResolve():
                self.add_resolved(command.success.key)
            case _:
                self._add_other(command)

    def _add_other(self, command: Command) -> None:
        match command:
            case StartJob():
                self._add_job(command.started.job)
            case FinishJob():
                self._add_job(command.finished.job)
                self._add_end(command.finished.job)
            case Hear() | CallOffline() | RetireHost():
                self._add_host(command.host_id)
            case PutHost() | PutSourceGroup() | PutSchedule():
                self._add_put(command)
            case _:
                pass
        if isinstance(command, RetireHost):
            self.whole_hosts.add(command.host_id)

    def add_resolved(self, key: Key) -> None:
        """Add the key of an alert that may be resolved by other than a report."""
        self.keys.add(key)
        if key.kind == STALE_SCHEDULE:
            self._add_schedule(key.host_id, key.dedup_key)
            self.anew.add(key.dedup_key)

    def add_schedule(self, place: SchedulePlace) -> None:
        """Add a schedule with all that its silence tells of."""
        self._add_schedule(place.host_id, place.schedule_id)
        if place.source_group_id:
            self.groups.add(place.source_group_id)

    def add_group(self, source_group_id: str, host_id: str) -> None:
        """Add a source group with its schedules."""
        self._add_host(host_id)
        self.groups.add(source_group_id)
        self.whole_groups.add(source_group_id)
        self.keys.update(own_keys(host_id, source_group_id))

    def _add_host(self, host_id: str) -> None:
        self.hosts.add(host_id)
        self.keys.add(offline_key(host_id))

    def _add_schedule(self, host_id: str, schedule_id: str) -> None:
        self._add_host(host_id)
        self.schedules.add(schedule_id)
        self.keys.add(Key(host_id, STALE_SCHEDULE, schedule_id))

    def _add_line(self, line: RunLine) -> None:
        self._add_schedule(line.host_id, line.schedule_id)
        self.lines.add(line)

    def _add_job(self, job: Job) -> None:
        self._add_host(job.host_id)
        self.jobs.add(job.job_id)
        if job.source_group_id:
            self.groups.add(job.source_group_id)
        if job.schedule_id:
            self._add_line(RunLine(job.host_id, job.schedule_id, job.kind))

    def _add_end(self, job: Job) -> None:
        self.keys.update(keys_of(job))
        self.streams.add(job.stream)
        if job.repository_id:
            self.repositories.add(job.repository_id)

    def _add_put(self, command: PutHost | PutSourceGroup | PutSchedule) -> None:
        self._add_host(command.spec.host_id)
        match command:
            case PutSourceGroup(spec=spec):
                self.groups.add(spec.source_group_id)
                self.streams.add(Stream(spec.host_id, JobKind.BACKUP, spec.source_group_id))
            case PutSchedule(spec=spec):
                line = RunLine(spec.host_id, spec.schedule_id, spec.job_kind)
                self._add_line(line)
                self.new_lines.add(line)
                if spec.source_group_id:
                    self.groups.add(spec.source_group_id)
            case _:
                pass


def named_schedules(commands: Iterable[Command]) -> set[str]:
    """Return the schedules that commands name without their host."""
    return {
        command.schedule_id for command in commands if isinstance(command, MissRun | RetireSchedule)
    }


def named_groups(commands: Iterable[Command]) -> set[str]:
    """Return the source groups that commands name without their host."""
    return {
        command.source_group_id
        for command in commands
        if isinstance(command, Rise | RetireSourceGroup)
    }


def put_places(
    commands: Iterable[Command],
) -> tuple[dict[str, SchedulePlace], dict[str, str]]:
    """Return where the schedules and the source groups belong that commands put."""
    schedules: dict[str, SchedulePlace] = {}
    groups: dict[str, str] = {}
    for command in commands:
        match command:
            case PutSchedule(spec=spec):
                place = SchedulePlace(spec.schedule_id, spec.host_id, spec.source_group_id)
                schedules.setdefault(spec.schedule_id, place)
            case PutSourceGroup(spec=spec):
                groups.setdefault(spec.source_group_id, spec.host_id)
            case _:
                pass
    return schedules, groups
