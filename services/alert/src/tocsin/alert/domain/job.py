"""Jobs: what an orchestrator reports of one run, and what is remembered of all runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class JobKind(IntEnum):
    """What a job does. The numbers are those of the contract."""

    BACKUP = 1
    FORGET = 2
    PRUNE = 3
    CHECK = 4


class JobResult(IntEnum):
    """How a job ended. The numbers are those of the contract."""

    SUCCEEDED = 1
    INCOMPLETE = 2
    FAILED = 3
    CANCELLED = 4


@dataclass(frozen=True, slots=True)
class Job:
    """Which job: what is the same in all reports of it."""

    job_id: str
    host_id: str
    kind: JobKind
    source_group_id: str = ""
    repository_id: str = ""
    schedule_id: str = ""

    @property
    def stream(self) -> Stream:
        """The line of jobs that it belongs to: a later one of it makes up for an earlier one."""
        of = self.source_group_id if self.kind is JobKind.BACKUP else self.repository_id
        return Stream(self.host_id, self.kind, of)


class Stream(NamedTuple):
    """Jobs that succeed each other: the backups of a source group, the checks of a repository."""

    host_id: str
    kind: JobKind
    of: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup program counted; 0 where it did not say. See `BackupSummary`."""

    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    data_added_bytes: int = 0
    total_files_processed: int = 0
    total_bytes_processed: int = 0
    unreadable_count: int = 0
    snapshot_id: str = ""


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A job has begun. `start_time` is in the world, corrected for the sender's skew."""

    job: Job
    start_time: datetime


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A job has ended. Times are in the world, corrected; `result` is as the sender gave it."""

    job: Job
    result: JobResult
    finish_time: datetime
    start_time: datetime | None = None
    exit_code: int | None = None
    error_text: str = ""
    summary: Summary | None = None


class Ended(NamedTuple):
    """An end in the order in which results count: by finish time, then by job id."""

    finish_time: datetime
    job_id: str


@dataclass(frozen=True, slots=True)
class LastFailure:
    """The latest of the ends of one sort, with what it said."""

    ended: Ended
    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class StreamState:
    """What is remembered of a stream: the latest end of each sort, whatever came in which order.

    Joining a report twice, or reports in another order, gives the same state.
    """

    last_success: Ended | None = None
    last_incomplete: LastFailure | None = None
    last_failure: LastFailure | None = None
