"""A process that takes reports into a spool: `report_taker.py SPOOL NAME FIRST COUNT`.

It prints the number of each report once the spool has it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tocsin.client.backup_requests import report_job_finished
from tocsin.client.spool import Spool


def job_id(name: str, number: int) -> str:
    """Return the job of a report."""
    return f"{name}-{number:04}"


def taking(path: Path, name: str, first: int, count: int) -> subprocess.Popen[str]:
    """Start such a process."""
    words = [sys.executable, __file__, str(path), name, str(first), str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def main(path: str, name: str, first: str, count: str) -> None:
    with Spool(Path(path)) as spool:
        for number in range(int(first), int(first) + int(count)):
            spool.add(report_job_finished(job_id(name, number), f"host-{name}", "backup", "failed"))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
