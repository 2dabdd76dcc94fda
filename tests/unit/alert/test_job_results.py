"""What the end of a job raises and clears: the rows of the rules on jobs."""

from __future__ import annotations

from itertools import permutations

import pytest

from support.backups import GROUP, REPOSITORY, finished, job
from support.observed import at
from tocsin.alert.domain.alert import Severity, Subject
from tocsin.alert.domain.job import (
    Ended,
    JobFinished,
    JobKind,
    JobResult,
    StreamState,
    Summary,
)
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure, Success
from tocsin.alert.engine import job_results
from tocsin.alert.engine.job_results import Judged
from tocsin.alert.engine.wording import MESSAGE_BYTES

FAILED_KEY = Key("host-a", "backup_failed", GROUP)
INCOMPLETE_KEY = Key("host-a", "backup_incomplete", GROUP)


def after(*ends: JobFinished) -> StreamState:
    state = StreamState()
    for end in ends:
        state = job_results.join(state, end, job_results.judge(end))
    return state


def observed(end: JobFinished, *before: JobFinished) -> tuple[Failure | Success, ...]:
    return job_results.observations(after(*before, end), end, job_results.judge(end))


@pytest.mark.parametrize(
    ("kind", "name", "dedup_key", "severity"),
    [
        (JobKind.BACKUP, "backup_failed", GROUP, Severity.WARNING),
        (JobKind.FORGET, "forget_failed", REPOSITORY, Severity.WARNING),
        (JobKind.PRUNE, "prune_failed", REPOSITORY, Severity.WARNING),
        (JobKind.CHECK, "check_failed", REPOSITORY, Severity.CRITICAL),
    ],
)
def test_a_job_that_failed_raises_the_kind_of_its_own(
    kind: JobKind, name: str, dedup_key: str, severity: Severity
) -> None:
    of = job("job-1", kind)

    (seen,) = observed(finished(5, of=of, exit_code=11))

    assert isinstance(seen, Failure)
    assert Key("host-a", name, dedup_key) == seen.key == job_results.failing_key(of)
    assert (severity, at(5), "locked") == (seen.severity, seen.observe_time, seen.cause)
    assert Subject(of.source_group_id, REPOSITORY, "nightly") == seen.subject


@pytest.mark.parametrize("kind", [JobKind.FORGET, JobKind.PRUNE, JobKind.CHECK])
def test_without_a_repository_the_key_of_its_jobs_is_empty(kind: JobKind) -> None:
    assert "" == job_results.failing_key(job("job-1", kind, "")).dedup_key


def test_a_success_clears_all_kinds_of_its_stream() -> None:
    seen = observed(finished(5, JobResult.SUCCEEDED))

    assert [FAILED_KEY, INCOMPLETE_KEY] == [success.key for success in seen]
    assert all(isinstance(success, Success) for success in seen)
    assert {at(5)} == {success.observe_time for success in seen}
    assert job_results.keys_of(job()) == (FAILED_KEY, INCOMPLETE_KEY)


def test_a_check_that_succeeds_clears_its_one_kind() -> None:
    of = job("job-1", JobKind.CHECK)

    (seen,) = observed(finished(5, JobResult.SUCCEEDED, of=of))

    assert (job_results.failing_key(of),) == (seen.key,) == job_results.keys_of(of)
    assert "A later check succeeded." == seen.message
    assert job_results.incomplete_key(of) is None


def test_an_incomplete_backup_raises_backup_incomplete_and_clears_nothing() -> None:
    (seen,) = observed(finished(5, JobResult.INCOMPLETE, exit_code=3), finished(1))

    assert isinstance(seen, Failure)
    assert (INCOMPLETE_KEY, Severity.WARNING, "incomplete") == (seen.key, seen.severity, seen.cause)


def test_an_incomplete_backup_is_not_a_good_backup() -> None:
    assert after(finished(5, JobResult.INCOMPLETE)).last_success is None


def test_an_incomplete_backup_whose_source_was_not_there_says_so() -> None:
    text = "/mnt/photos does not exist, skipping"
    end = finished(5, JobResult.INCOMPLETE, exit_code=3, error_text=text)

    judged = job_results.judge(end)

    assert "source_missing" == judged.cause
    assert f"The backup is incomplete (exit code 3): {text}" == judged.message


def test_a_cancelled_job_is_neither_a_success_nor_a_failure() -> None:
    end = finished(5, JobResult.CANCELLED, exit_code=130)

    assert Judged(JobResult.CANCELLED, "", "") == job_results.judge(end)
    assert StreamState() == after(end)
    assert () == observed(end)


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        (
            Summary(total_files_processed=9, unreadable_count=1),
            "The backup is incomplete, 1 item could not be read.",
        ),
        (
            Summary(total_files_processed=9, unreadable_count=3),
            "The backup is incomplete, 3 items could not be read.",
        ),
        (
            Summary(files_new=1, files_changed=2, files_unmodified=3, total_files_processed=4),
            "The backup is incomplete, 2 of the files found are missing from it.",
        ),
    ],
)
def test_a_success_whose_summary_tells_of_gaps_is_incomplete(
    summary: Summary, message: str
) -> None:
    end = finished(5, JobResult.SUCCEEDED, exit_code=0, summary=summary)

    assert Judged(JobResult.INCOMPLETE, "incomplete", message) == job_results.judge(end)


def test_a_success_that_exited_with_3_is_incomplete_unless_it_is_no_backup() -> None:
    check = finished(5, JobResult.SUCCEEDED, of=job("job-1", JobKind.CHECK), exit_code=3)

    assert Judged(
        JobResult.INCOMPLETE, "incomplete", "The backup is incomplete (exit code 3)."
    ) == job_results.judge(finished(5, JobResult.SUCCEEDED, exit_code=3))
    assert Judged(JobResult.SUCCEEDED, "", "") == job_results.judge(check)


def test_a_success_of_an_old_restic_that_skipped_a_source_is_incomplete() -> None:
    text = "/mnt/photos does not exist, skipping"

    judged = job_results.judge(finished(5, JobResult.SUCCEEDED, exit_code=0, error_text=text))

    assert (JobResult.INCOMPLETE, "source_missing") == (judged.result, judged.cause)


@pytest.mark.parametrize(
    "summary",
    [
        None,
        Summary(),
        Summary(files_new=2, files_unmodified=3, total_files_processed=5),
        Summary(total_files_processed=5),
    ],
)
def test_a_success_without_gaps_stays_one(summary: Summary | None) -> None:
    end = finished(5, JobResult.SUCCEEDED, summary=summary)

    assert Judged(JobResult.SUCCEEDED, "", "") == job_results.judge(end)


def test_only_a_backup_can_be_incomplete() -> None:
    of = job("job-1", JobKind.CHECK)
    gaps = Summary(unreadable_count=1)

    incomplete = job_results.judge(finished(5, JobResult.INCOMPLETE, of=of))
    succeeded = job_results.judge(finished(5, JobResult.SUCCEEDED, of=of, summary=gaps))

    assert (JobResult.FAILED, JobResult.SUCCEEDED) == (incomplete.result, succeeded.result)


def test_a_failure_older_than_the_last_success_is_nothing_to_observe() -> None:
    assert () == observed(finished(4), finished(5, JobResult.SUCCEEDED))


def test_of_a_success_and_a_failure_at_one_time_the_failure_wins() -> None:
    good = finished(5, JobResult.SUCCEEDED, of=job("job-b"))
    bad = finished(5, of=job("job-a"))

    (failure,) = observed(bad, good)
    (success,) = observed(good, bad)

    assert (FAILED_KEY, at(5)) == (failure.key, failure.observe_time)
    assert INCOMPLETE_KEY == success.key


def test_a_success_older_than_the_last_failure_clears_only_what_has_not_failed_since() -> None:
    (seen,) = observed(finished(4, JobResult.SUCCEEDED), finished(5))

    assert INCOMPLETE_KEY == seen.key


def test_a_success_that_is_not_the_latest_is_nothing_to_observe() -> None:
    assert () == observed(finished(4, JobResult.SUCCEEDED), finished(5, JobResult.SUCCEEDED))


def test_a_late_failure_is_observed_at_its_own_time_in_the_words_of_the_latest() -> None:
    (seen,) = observed(finished(4, exit_code=11), finished(5, exit_code=12))

    assert isinstance(seen, Failure)
    assert (at(4), "wrong_password") == (seen.observe_time, seen.cause)
    assert "The backup failed (exit code 12)." == seen.message


def test_of_two_ends_at_one_time_the_later_job_id_counts() -> None:
    one, other = finished(5, of=job("job-a")), finished(5, of=job("job-b"))

    for order in permutations((one, other)):
        failure = after(*order).last_failure
        assert failure is not None
        assert Ended(at(5), "job-b") == failure.ended


def test_a_failure_always_has_a_cause_and_a_message() -> None:
    judged = job_results.judge(finished(5))

    assert Judged(JobResult.FAILED, "other", "The backup failed.") == judged


def test_the_first_line_of_a_message_tells_the_most_and_the_rest_follows() -> None:
    text = "open repository\nFatal: wrong password or no key found\nbye"

    judged = job_results.judge(finished(5, exit_code=1, error_text=f"\n{text}\n"))

    first = "The backup failed (exit code 1): Fatal: wrong password or no key found"
    assert f"{first}\n\n{text}" == judged.message


def test_a_message_stays_within_16_kib() -> None:
    judged = job_results.judge(finished(5, error_text="é" * 16_000))

    assert MESSAGE_BYTES - 2 <= len(judged.message.encode()) <= MESSAGE_BYTES
