"""What the end of a job says: how it is judged, what is remembered, and what was observed by it.

Ends count in the order of their own finish time and job id, whatever order they arrive in. What
is remembered of a stream of jobs is only ever the latest end of each sort, and observations are
made from that: so reports in any order, and repeated, leave the same alerts open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Severity, Subject
from tocsin.alert.domain.job import (
    Ended,
    Job,
    JobFinished,
    JobKind,
    JobResult,
    LastFailure,
    StreamState,
)
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure, Success
from tocsin.alert.engine.causes import cause_of, is_source_missing
from tocsin.alert.engine.job_messages import (
    failed_message,
    has_gaps,
    incomplete_message,
    succeeded_message,
)
from tocsin.alert.engine.phrases import SOURCE_MISSING

if TYPE_CHECKING:
    from datetime import datetime

BACKUP_FAILED = "backup_failed"
BACKUP_INCOMPLETE = "backup_incomplete"
INCOMPLETE = "incomplete"
# With this restic tells, whatever calls it a success, that some of a source could not be read.
SOME_UNREADABLE = 3

_FAILING_KINDS = {
    JobKind.BACKUP: BACKUP_FAILED,
    JobKind.FORGET: "forget_failed",
    JobKind.PRUNE: "prune_failed",
    JobKind.CHECK: "check_failed",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """How an end counts. `cause` and `message` are empty unless it failed or is incomplete.

    Of those they never are: a later end then always replaces the words of an earlier one.
    """

    result: JobResult
    cause: str
    message: str


def judge(finished: JobFinished) -> Judged:
    """Return how an end counts, by what its sender said and by what the program counted.

    A backup that SUCCEEDED but left out items, by its summary, its exit code or its own words, is
    INCOMPLETE: restic before 0.17 exits 0 with a source missing. Only a backup can be incomplete;
    another job FAILED then.
    """
    match _result(finished):
        case JobResult.FAILED:
            cause = cause_of(finished.exit_code, finished.error_text)
            return Judged(JobResult.FAILED, cause, failed_message(finished))
        case JobResult.INCOMPLETE:
            missing = is_source_missing(finished.error_text)
            cause = SOURCE_MISSING if missing else INCOMPLETE
            return Judged(JobResult.INCOMPLETE, cause, incomplete_message(finished))
        case result:
            return Judged(result, "", "")


def _result(finished: JobFinished) -> JobResult:
    if finished.job.kind is not JobKind.BACKUP:
        incomplete = finished.result is JobResult.INCOMPLETE
        return JobResult.FAILED if incomplete else finished.result
    left_out = (
        finished.exit_code == SOME_UNREADABLE
        or has_gaps(finished.summary)
        or is_source_missing(finished.error_text)
    )
    if finished.result is JobResult.SUCCEEDED and left_out:
        return JobResult.INCOMPLETE
    return finished.result


def failing_key(job: Job) -> Key:
    """Return the key under which a job of this kind fails."""
    return Key(job.host_id, _FAILING_KINDS[job.kind], job.stream.of)


def incomplete_key(job: Job) -> Key | None:
    """Return the key under which a backup is incomplete; None for other kinds."""
    if job.kind is not JobKind.BACKUP:
        return None
    return Key(job.host_id, BACKUP_INCOMPLETE, job.source_group_id)


def keys_of(job: Job) -> tuple[Key, ...]:
    """Return all keys that the end of a job may raise or clear."""
    incomplete = incomplete_key(job)
    return (failing_key(job),) if incomplete is None else (failing_key(job), incomplete)


def join(state: StreamState, finished: JobFinished, judged: Judged) -> StreamState:
    """Return what is remembered of a stream once this end is known too.

    A join: commutative, associative and idempotent. CANCELLED leaves no trace.
    """
    ended = Ended(finished.finish_time, finished.job.job_id)
    failure = LastFailure(ended, judged.cause, judged.message)
    match judged.result:
        case JobResult.SUCCEEDED:
            last = state.last_success
            return replace(state, last_success=ended if last is None else max(last, ended))
        case JobResult.INCOMPLETE:
            return replace(state, last_incomplete=_later(state.last_incomplete, failure))
        case JobResult.FAILED:
            return replace(state, last_failure=_later(state.last_failure, failure))
        case JobResult.CANCELLED:
            return state


def _later(one: LastFailure | None, other: LastFailure) -> LastFailure:
    return other if one is None or one.ended < other.ended else one


def observations(
    state: StreamState, finished: JobFinished, judged: Judged
) -> tuple[Failure | Success, ...]:
    """Return what is observed by an end; `state` knows it already.

    A failure that no later success made up for is observed at its own time, in the words of the
    latest failure. A success is observed by those keys that have not failed since, at its time:
    of two at one time the failure wins.
    """
    job, time = finished.job, finished.finish_time
    sorts = [(failing_key(job), state.last_failure)]
    incomplete = incomplete_key(job)
    if incomplete is not None:
        sorts.append((incomplete, state.last_incomplete))
    match judged.result:
        case JobResult.SUCCEEDED if state.last_success == Ended(time, job.job_id):
            return tuple(
                Success(key, time, succeeded_message(job))
                for key, last in sorts
                if last is None or last.ended.finish_time < time
            )
        case JobResult.FAILED | JobResult.INCOMPLETE if not _is_made_up_for(state, time):
            place = 0 if judged.result is JobResult.FAILED else 1
            return _failure(job, time, *sorts[place])
        case _:
            return ()


def _is_made_up_for(state: StreamState, time: datetime) -> bool:
    return state.last_success is not None and time < state.last_success.finish_time


def _failure(job: Job, time: datetime, key: Key, latest: LastFailure | None) -> tuple[Failure, ...]:
    if latest is None:
        return ()
    severity = Severity.CRITICAL if job.kind is JobKind.CHECK else Severity.WARNING
    subject = Subject(job.source_group_id, job.repository_id, job.schedule_id)
    return (Failure(key, time, severity, latest.message, latest.cause, subject=subject),)
