"""From what restic prints to the report of a job.

Read are the JSON lines of restic 0.14 to 0.18 and, without `--json`, its plain words. What is not
known is skipped: restic adds messages and fields at any time
(https://restic.readthedocs.io/en/stable/075_scripting.html).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tocsin.api.alert.v1.backup_pb2 import BackupSummary
from tocsin.client import backup_requests
from tocsin.client.excerpt import Excerpt, plain

if TYPE_CHECKING:
    from typing import Unpack

    from tocsin.api.alert.v1.backup_service_pb2 import ReportJobFinishedRequest
    from tocsin.client.backup_fields import JobEndFields

_INCOMPLETE_CODE = 3
_LONGEST_ID = 256
_LARGEST_COUNT = 2**63 - 1
_SKIPPED = " does not exist, skipping"
_ONLY_PLANNED = (
    "Would add to the repository:",
    "Would have removed the following snapshots:",
    "Would have made the following changes:",
)
# Where restic's own name of a count is not that of the contract.
_COUNTS = {
    "files_new": "files_new",
    "files_changed": "files_changed",
    "files_unmodified": "files_unmodified",
    "dirs_new": "dirs_new",
    "dirs_changed": "dirs_changed",
    "dirs_unmodified": "dirs_unmodified",
    "data_added_bytes": "data_added",
    "total_files_processed": "total_files_processed",
    "total_bytes_processed": "total_bytes_processed",
}


class ResticOutput:
    """What one run of restic said, read line by line as it comes.

    `kind` is what the run does: `backup`, `forget`, `prune` or `check`. That it is a dry run is
    mostly found in what it says; `is_dry_run` says so from the beginning.

    Example:
        >>> said = ResticOutput("backup")
        >>> said.stderr('{"message_type":"exit_error","code":12,"message":"Fatal: wrong password"}')
        >>> said.result(12), said.error_text
        ('failed', 'Fatal: wrong password')
    """

    def __init__(self, kind: str = "backup", *, is_dry_run: bool = False) -> None:
        self._is_backup = kind == "backup"
        self._summary: dict[str, Any] | None = None
        self._unreadable_count = 0
        self._only_planned = is_dry_run
        self._errors = Excerpt()

    def stdout(self, line: str) -> None:
        """Read a line of its standard output."""
        if line.startswith(_ONLY_PLANNED):
            self._only_planned = True
        message = _message(line)
        if message is not None:
            self._read(message)

    def stderr(self, line: str) -> None:
        """Read a line of its standard error."""
        message = _message(line)
        if message is None or not self._read(message):
            self._say(line)

    @property
    def summary(self) -> BackupSummary | None:
        """What a backup counted; None when it told of nothing."""
        if not self._is_backup or (self._summary is None and not self._unreadable_count):
            return None
        said = self._summary or {}
        counts = {ours: _count(said.get(its)) for ours, its in _COUNTS.items()}
        return BackupSummary(
            **counts,
            unreadable_count=self._unreadable_count,
            snapshot_id=plain(str(said.get("snapshot_id") or ""))[:_LONGEST_ID],
        )

    @property
    def error_text(self) -> str:
        """What it said on standard error, in words: the first and the last of it, up to 15 KiB."""
        return self._errors.text()

    def result(self, exit_code: int) -> str:
        """Return how the run ended: `succeeded`, `incomplete`, `failed`, or `cancelled`.

        A dry run that ended well is `cancelled`: nothing was backed up, and nothing is wrong.
        """
        if self._only_planned and exit_code in {0, _INCOMPLETE_CODE}:
            return "cancelled"
        if exit_code == _INCOMPLETE_CODE and self._is_backup:
            return "incomplete"
        return "failed" if exit_code else "succeeded"

    def _read(self, message: dict[str, Any]) -> bool:
        """Take in a JSON line; return whether all that it says is known now."""
        match message.get("message_type"):
            case "summary" if "files_new" in message:
                self._summary = message
                self._only_planned = self._only_planned or message.get("dry_run") is True
                return True
            case "error":
                self._read_error(message)
                return True
            case "exit_error":
                self._say(str(message.get("message", "")))
                return True
            case other:
                return isinstance(other, str)

    def _read_error(self, message: dict[str, Any]) -> None:
        item = str(message.get("item") or "")
        words = _words_of(message)
        if message.get("during") == "archival":
            self._unreadable_count += 1
        elif item and message.get("during") == "scan":
            return  # what cannot be scanned is told once more when it is to be saved
        self._say(words if item in words else f"{item}: {words}")

    def _say(self, text: str) -> None:
        for line in text.splitlines():
            if line.endswith(_SKIPPED):
                self._unreadable_count += 1
            self._errors.add(line)


def job_finished(
    said: ResticOutput,
    exit_code: int,
    /,
    job_id: str,
    host_id: str,
    kind: str,
    **more: Unpack[JobEndFields],
) -> ReportJobFinishedRequest:
    """Build the report of a run that has ended with `exit_code`, to be sent by a BackupClient.

    The words are left out of the report of a run without any trouble. What `more` says goes
    before what restic said.
    """
    summary, result = said.summary, said.result(exit_code)
    went_well = result == "succeeded" and not (summary and summary.unreadable_count)
    told: JobEndFields = {
        "exit_code": exit_code,
        "error_text": "" if went_well else said.error_text,
        "summary": summary,
    }
    told.update(more)
    return backup_requests.report_job_finished(job_id, host_id, kind, result, **told)


def _message(line: str) -> dict[str, Any] | None:
    """Return a JSON line that may matter; None for words, and for what comes often."""
    if not line.startswith("{") or '"status"' in line or '"verbose_status"' in line:
        return None
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _words_of(message: dict[str, Any]) -> str:
    """Return what an error says. Before 0.17 it is written as Go keeps it, with a number."""
    error: Any = message.get("error", message)
    if not isinstance(error, dict):
        return str(error)
    if error.get("message"):
        return str(error["message"])
    number, what = error.get("Err"), [str(error.get(name) or "") for name in ("Op", "Path")]
    if isinstance(number, dict):
        return _words_of({"error": number})
    why = os.strerror(number).lower() if isinstance(number, int) else "not known"
    return f"{' '.join(filter(None, what)) or 'an error'}: {why}"


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), _LARGEST_COUNT)
