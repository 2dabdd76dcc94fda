"""What alerts say of a job: one line that tells the most, and below it what the program said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.engine.causes import telling_line
from tocsin.alert.engine.wording import fit_message

if TYPE_CHECKING:
    from tocsin.alert.domain.job import Job, JobFinished, Summary


def failed_message(finished: JobFinished) -> str:
    """Return what is said of a job that failed; never empty, at most 16 KiB of UTF-8."""
    return _message(f"The {_name(finished.job)} failed", finished)


def incomplete_message(finished: JobFinished) -> str:
    """Return what is said of a backup that left something out; bounds as of `failed_message`."""
    return _message(f"The backup is incomplete{_left_out(finished.summary)}", finished)


def succeeded_message(job: Job) -> str:
    """Return what is said of an alert that a job has cleared."""
    return f"A later {_name(job)} succeeded."


def has_gaps(summary: Summary | None) -> bool:
    """Tell whether a backup left out items, by what the program counted."""
    return summary is not None and (summary.unreadable_count > 0 or _lost_count(summary) > 0)


def _lost_count(summary: Summary) -> int:
    """Return how many files were found but not worked through; none when negative."""
    found = summary.files_new + summary.files_changed + summary.files_unmodified
    return found - summary.total_files_processed


def _left_out(summary: Summary | None) -> str:
    if summary is None or not has_gaps(summary):
        return ""
    if summary.unreadable_count > 0:
        items = "item" if summary.unreadable_count == 1 else "items"
        return f", {summary.unreadable_count} {items} could not be read"
    return f", {_lost_count(summary)} of the files found are missing from it"


def _name(job: Job) -> str:
    return job.kind.name.lower()


def _message(headline: str, finished: JobFinished) -> str:
    text = finished.error_text.strip()
    exited = f" (exit code {finished.exit_code})" if finished.exit_code else ""
    telling = telling_line(text)
    if not telling:
        return f"{headline}{exited}."
    first = f"{headline}{exited}: {telling}"
    return fit_message(first if text == telling else f"{first}\n\n{text}")
