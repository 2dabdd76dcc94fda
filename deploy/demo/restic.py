"""One host that restic backs up: truly, or replayed from what a real restic once said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

PHOTOS = "photos"
DATABASE = "database"
RECORDED = Path(__file__).parent / "recorded" / "restic-0.14.0.json"

_PASSWORD = "correct horse"
_WRONG_PASSWORD = "battery staple"
_WRONG_PASSWORD_CODE = 12
_RUN_SECONDS = 30


class ResticError(Exception):
    """Restic is not there, or cannot even begin."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of restic did: its command line, its words and its exit code."""

    command: str
    exit_code: int
    stdout: list[str]
    stderr: list[str]

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def words(self) -> list[str]:
        """What it said on standard error. From 0.17 on, errors come as JSON there."""
        return [_words_of(line) for line in self.stderr]

    @property
    def cause(self) -> str:
        """The class of the failure. Exit codes say it from 0.17 on; before that only words do."""
        said = " ".join(self.words)
        if self.exit_code == _WRONG_PASSWORD_CODE or "wrong password" in said:
            return "wrong_password"
        return "source_missing" if "do not exist" in said else "other"

    @property
    def files(self) -> int:
        """How many files the summary of a backup counts."""
        for line in reversed(self.stdout):
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("message_type") == "summary":
                return int(told["total_files_processed"])
        return 0


class Restic(Protocol):
    """What the story needs done. Each step is one run, and bears its name."""

    version: str
    origin: str

    def prepare(self) -> None:
        """Make the repository and two source groups."""

    def run(self, step: str) -> Run:
        """Back up as the step says: `GROUP good`, `GROUP broken` or `GROUP healed`."""


class RealRestic:
    """Runs restic in a folder of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.version = _version_of(program)
        self.origin = f"restic {self.version}, run for real"

    def prepare(self) -> None:
        for group in (PHOTOS, DATABASE):
            (self._folder / group).mkdir(parents=True)
            for number in range(3):
                (self._folder / group / f"{number}.bin").write_bytes(os.urandom(20_000))
        made = self._restic("init", "--quiet")
        if not made.succeeded:
            raise ResticError("\n".join(made.stderr))

    def run(self, step: str) -> Run:
        group, state = step.split()
        source, unmounted = self._folder / group, self._folder / f"{group}.unmounted"
        password = _PASSWORD
        if state == "broken" and group == DATABASE:
            password = _WRONG_PASSWORD
        elif state == "broken" and source.exists():
            source.rename(unmounted)
        elif state == "healed" and unmounted.exists():
            unmounted.rename(source)
        return self._restic("backup", "--json", "--host", "web-1", group, password=password)

    def _restic(self, *arguments: str, password: str = _PASSWORD) -> Run:
        ended = subprocess.run(
            [self._program, *arguments],
            cwd=self._folder,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "RESTIC_REPOSITORY": "repository",
                "RESTIC_PASSWORD": password,
                "RESTIC_CACHE_DIR": "cache",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        return Run(
            command=f"restic {' '.join(arguments)}",
            exit_code=ended.returncode,
            stdout=ended.stdout.splitlines(),
            stderr=ended.stderr.splitlines(),
        )


class RecordedRestic:
    """Repeats what a real restic said, run by run."""

    def __init__(self, recording: Path = RECORDED) -> None:
        recorded = json.loads(recording.read_text())
        self._runs = {step: Run(**run) for step, run in recorded["runs"].items()}
        self.version = str(recorded["version"])
        self.origin = f"output of restic {self.version}, recorded"

    def prepare(self) -> None:
        pass

    def run(self, step: str) -> Run:
        return self._runs[step]


def find_restic(folder: Path, wanted: str = "auto") -> Restic:
    """Return the restic of this machine, or the recorded one when there is none.

    `wanted` is `auto`, `real` or `recorded`.
    """
    program = shutil.which("restic")
    if wanted == "recorded" or (wanted == "auto" and program is None):
        return RecordedRestic()
    if program is None:
        raise ResticError("restic is not installed. On Debian: apt-get install restic")
    return RealRestic(program, folder)


def record(folder: Path, recording: Path = RECORDED) -> None:
    """Run every step for real and write down what restic said."""
    program = shutil.which("restic")
    if program is None:
        raise ResticError("restic is not installed. On Debian: apt-get install restic")
    restic = RealRestic(program, folder)
    restic.prepare()
    steps = [
        f"{PHOTOS} good",
        f"{DATABASE} good",
        f"{PHOTOS} broken",
        f"{DATABASE} broken",
        f"{PHOTOS} healed",
    ]
    runs = {step: asdict(restic.run(step)) for step in steps}
    told = json.dumps({"version": restic.version, "runs": runs}, indent=2)
    recording.write_text(told + "\n")


def _words_of(line: str) -> str:
    try:
        told = json.loads(line)
    except ValueError:
        return line
    error = told.get("error") or {}
    return str(told.get("message") or error.get("message") or line)


def _version_of(program: str) -> str:
    told = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[1]
