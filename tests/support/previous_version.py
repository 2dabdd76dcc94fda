"""The version before this one as processes; its code comes from the history of the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING

from support.processes import ServiceProcess
from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PREVIOUS = "c770faf85eb742f1b26f6e624632cf834a1d465d"
"""The version before, as long as none is tagged: from then on the latest tag `v…` is it."""

_FOLDERS = ("libs/common/src", "libs/client/src", "services/alert/src", "services/notify/src")


def previous_commit() -> str | None:
    """Return the commit of the version before; None where the history does not go back so far."""
    if shutil.which("git") is None:
        return None
    tag = _git("describe", "--tags", "--match", "v*", "--abbrev=0")
    for name in filter(None, (tag, PREVIOUS)):
        if commit := _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
            return commit
    return None


def unpack(commit: str, folder: Path) -> str:
    """Write the code of a commit to a folder, and return the PYTHONPATH that leads to it."""
    command = ["git", "-C", str(ROOT), "archive", commit, *_FOLDERS]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return os.pathsep.join(str(folder / each) for each in _FOLDERS)


class PreviousProcess(ServiceProcess):
    """`python -m <module> serve` of the version before, which knows no newer options."""

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, "serve"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
