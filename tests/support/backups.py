"""What tests report of backups: short ways to say which job ended, when and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.observed import at
from tocsin.alert.domain.job import Job, JobFinished, JobKind, JobResult

if TYPE_CHECKING:
    from tocsin.alert.domain.job import Summary

GROUP = "group-1"
REPOSITORY = "repo-1"


def job(
    job_id: str = "job-1", kind: JobKind = JobKind.BACKUP, repository_id: str = REPOSITORY
) -> Job:
    """Return a job of host-a; a backup is of group-1."""
    group = GROUP if kind is JobKind.BACKUP else ""
    return Job(job_id, "host-a", kind, group, repository_id, "nightly")


def finished(
    minutes: float = 0,
    result: JobResult = JobResult.FAILED,
    *,
    of: Job | None = None,
    exit_code: int | None = None,
    error_text: str = "",
    summary: Summary | None = None,
) -> JobFinished:
    """Return the end of a job so many minutes after the start; named by them unless given."""
    return JobFinished(
        job=of or job(f"job-{minutes:g}"),
        result=result,
        finish_time=at(minutes),
        exit_code=exit_code,
        error_text=error_text,
        summary=summary,
    )
