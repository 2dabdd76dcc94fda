"""Runs of restic for tests: a real one where it is installed, or what real ones once said.

The recordings are in `restic_runs/`, one file per version. Those of 0.14.0 were made here (`python
tests/support/restic.py FOLDER` makes them anew); the others are put together from restic's
documentation and its source at the tag of that version.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = Path(__file__).parent / "restic_runs"
REPLAY = RUNS / "replay.py"
PASSWORD = "correct horse"
WITHIN_SECONDS = 60
_A_LOCK = re.compile(r"[0-9a-f]{64}")
# A file that exists, and that nobody can read from its beginning, not even root.
UNREADABLE = "/proc/self/mem"


@dataclass(frozen=True)
class Recorded:
    """What restic did in one run."""

    version: str
    name: str
    kind: str
    exit_code: int
    stdout: tuple[str, ...]
    stderr: tuple[str, ...]


@dataclass(frozen=True)
class Runnable:
    """A command line that does one run, and what it needs around it."""

    words: list[str]
    folder: Path
    kind: str = "backup"
    environment: dict[str, str] = field(default_factory=dict)
    interrupt: bool = False
    """Whether it is to be interrupted once it has said something."""


def recordings() -> list[Recorded]:
    """Return all that is recorded."""
    return [
        Recorded(
            told["version"],
            name,
            run.get("kind", "backup"),
            run["exit_code"],
            tuple(run["stdout"]),
            tuple(run["stderr"]),
        )
        for told in map(_read, sorted(RUNS.glob("*.json")))
        for name, run in told["runs"].items()
    ]


def recorded(version: str, name: str) -> Recorded:
    """Return one recorded run."""
    return next(each for each in recordings() if (version, name) == (each.version, each.name))


def replay(version: str, name: str, folder: Path) -> Runnable:
    """Return a command line that says what was recorded, to be run in `folder`."""
    run = recorded(version, name)
    words = [sys.executable, str(REPLAY), str(RUNS / f"restic-{version}.json"), name]
    return Runnable(words, folder, run.kind, interrupt=name == "interrupted")


def has_restic() -> bool:
    """Whether a restic is installed."""
    return shutil.which("restic") is not None


class RealRestic:
    """A repository and a source in a folder, and what can happen to them. Each is done once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = {
            "RESTIC_REPOSITORY": "repository",
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": "cache",
        }
        (folder / "home").mkdir()
        for number in range(3):
            (folder / "home" / f"{number}.bin").write_bytes(os.urandom(20_000))
        self._run("init", "--quiet")

    @contextmanager
    def ready(self, name: str) -> Iterator[Runnable]:
        """Bring about what a run by this name needs."""
        backup = ["restic", "backup", "--json", "--host", "web-1"]
        ready = {
            "success": lambda: self._runnable(*backup, "home"),
            "failure": lambda: self._runnable(*backup),
            "incomplete": lambda: self._runnable(*backup, "home", UNREADABLE),
            "one_source_missing": lambda: self._runnable(*backup, "home", "gone"),
            "source_missing": lambda: self._runnable(*backup, "gone"),
            "wrong_password": lambda: self._runnable(*backup, "home", RESTIC_PASSWORD="battery"),
            "no_repository": lambda: self._runnable(*backup, "home", RESTIC_REPOSITORY="nowhere"),
            "dry_run": lambda: self._runnable(*backup, "--dry-run", "home"),
            "interrupted": lambda: self._slow(*backup, "--limit-upload", "1", "home"),
            "check": lambda: self._runnable("restic", "check", kind="check"),
            "forget": lambda: self._runnable(
                "restic", "forget", "--json", "--keep-last", "1", kind="forget"
            ),
            "prune": lambda: self._runnable("restic", "prune", kind="prune"),
            "damaged": self._damaged,
        }
        if name == "locked":
            with self._locked():
                yield self._runnable(*backup, "home")
        else:
            yield ready[name]()

    def _runnable(self, *words: str, kind: str = "backup", **environment: str) -> Runnable:
        return Runnable(list(words), self._folder, kind, {**self.environment, **environment})

    def _slow(self, *words: str) -> Runnable:
        (self._folder / "home" / "large.bin").write_bytes(os.urandom(300_000))
        return Runnable(list(words), self._folder, "backup", self.environment, interrupt=True)

    def _damaged(self) -> Runnable:
        self._run("backup", "home")
        packs = [each for each in (self._folder / "repository/data").rglob("*") if each.is_file()]
        max(packs, key=lambda pack: pack.stat().st_size).unlink()  # one of data, not of trees
        return self._runnable("restic", "check", kind="check")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the exclusive lock, by a check that reads a kilobyte a second."""
        self._run("backup", "home")
        slow = subprocess.Popen(
            ["restic", "check", "--read-data", "--limit-download", "1"],
            cwd=self._folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for_lock(self._folder / "repository" / "locks")
            yield
        finally:
            slow.send_signal(signal.SIGINT)  # it takes its lock away
            slow.wait(WITHIN_SECONDS)

    def _run(self, *words: str) -> None:
        subprocess.run(
            ["restic", *words],
            cwd=self._folder,
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
            timeout=WITHIN_SECONDS,
        )


def _wait_for_lock(locks: Path) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not any(_A_LOCK.fullmatch(each.name) for each in locks.iterdir()):
        assert time.monotonic() < deadline, "no lock came"
        time.sleep(0.01)  # files give no signal


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


NAMES = (
    "success",
    "failure",
    "incomplete",
    "one_source_missing",
    "source_missing",
    "wrong_password",
    "no_repository",
    "dry_run",
    "interrupted",
    "check",
    "forget",
    "prune",
    "damaged",
    "locked",
)


def _record(folder: Path) -> None:
    said = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True)
    version = said.stdout.split()[1]
    runs = {}
    for name in NAMES:
        own = folder / name
        own.mkdir(parents=True)
        with RealRestic(own).ready(name) as run:
            runs[name] = _recorded_run(run, own)
    told = json.dumps({"version": version, "runs": runs}, indent=1)
    (RUNS / f"restic-{version}.json").write_text(told.replace(str(folder), "/srv/backup") + "\n")


def _recorded_run(run: Runnable, folder: Path) -> dict[str, Any]:
    with subprocess.Popen(
        run.words,
        cwd=folder,
        env={**os.environ, **run.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline() if run.interrupt else ""
        if run.interrupt:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WITHIN_SECONDS)
    return {
        "command": " ".join(run.words),
        "kind": run.kind,
        "exit_code": process.returncode,
        "stdout": (first + out).splitlines(),
        "stderr": err.splitlines(),
    }


if __name__ == "__main__":
    _record(Path(sys.argv[1]).resolve())
