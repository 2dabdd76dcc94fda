"""Reports taken while the service was down arrive once and in order, whoever is killed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

from support.backup_recorder import BackupRecorder, recording
from support.report_taker import job_id, taking
from tocsin.client.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

REPORTS = 1_000
WITHIN_SECONDS = 120


def take(path: Path, first: int, *, kill_at: int | None = None) -> int:
    """Take reports from `first` on, in a process that is killed once it has taken `kill_at`.

    Returns how many the spool is known to have.
    """
    taken = first
    with taking(path, "job", first, REPORTS - first) as taker:
        assert taker.stdout is not None
        for line in taker.stdout:
            taken = int(line) + 1
            if taken == kill_at:
                taker.kill()
    return taken


def flushing(path: Path, target: str) -> subprocess.Popen[bytes]:
    words = ["spool", "flush", "--spool", str(path), "--target", target, "--timeout", "60"]
    return subprocess.Popen([sys.executable, "-m", "tocsin.cli", *words], stdout=subprocess.DEVNULL)


def kill_a_flush(path: Path, recorder: BackupRecorder, target: str, *, at: int) -> None:
    """Flush, and kill it when the service has a report and the spool does not know that yet."""
    recorder.hold_after = at
    with flushing(path, target) as flusher:
        recorder.wait_for(at)
        flusher.kill()
    recorder.let_go()


def test_a_thousand_reports_arrive_once_and_in_order_over_two_kills(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    assert REPORTS == take(path, 0)
    with recording() as (recorder, target):
        kill_a_flush(path, recorder, target, at=300)
        kill_a_flush(path, recorder, target, at=700)
        with flushing(path, target) as last:
            assert 0 == last.wait(WITHIN_SECONDS)
    expected = [job_id("job", number) for number in range(REPORTS)]
    assert expected == list(dict.fromkeys(recorder.job_ids))
    # What was under way at a kill comes again under the same id, and nothing else does.
    again = {each: count for each, count in Counter(recorder.job_ids).items() if count > 1}
    assert {job_id("job", 299): 2, job_id("job", 698): 2} == again
    with Spool(path) as spool:
        assert (0, 0) == (spool.counts().waiting, spool.counts().dropped)


def test_what_was_taken_before_a_kill_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    taken = take(path, 0, kill_at=250)
    taken = take(path, taken, kill_at=600)
    assert REPORTS == take(path, taken)
    with Spool(path) as spool:
        kept = [each.report.job_id for each in spool.waiting(limit=2 * REPORTS)]
    # A report that was taken, and whose taker was killed before it could say so, is there twice.
    assert [job_id("job", number) for number in range(REPORTS)] == list(dict.fromkeys(kept))
    assert len(kept) <= REPORTS + 2
