"""Runs tests against a copy of the services that a mutant has changed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.mutants.mutant import SOURCES
from support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.mutants.mutant import Mutant

_LONGEST_TEST_SECONDS = 90
_LONGEST_TRIAL_SECONDS = 900
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Trial:
    """How the tests ended: which one failed first, None when all of them passed."""

    killed_by: str | None
    seconds: float
    output: str


def tried(mutant: Mutant, folder: Path) -> Trial:
    """Run the killers of a mutant in a copy of the tree below `folder`, until one fails."""
    tree = _copied(folder)
    for edit in mutant.edits:
        edit.apply(tree)
    return _run(mutant.killers, tree)


def tried_unchanged(killers: Iterable[str], folder: Path) -> Trial:
    """Run killers in a copy in which nothing was changed: what fails there fails for the copy."""
    return _run(sorted(set(killers)), _copied(folder))


def _copied(folder: Path) -> Path:
    tree = folder / "tree"
    for source in SOURCES:
        shutil.copytree(ROOT / source, tree / source, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


def _run(killers: Iterable[str], tree: Path) -> Trial:
    began = time.monotonic()
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=short"),
            *("-p", "no:cacheprovider", "-p", "no:xdist", f"--timeout={_LONGEST_TEST_SECONDS}"),
            *killers,
        ],
        cwd=ROOT,
        env=_environment(tree),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    output = _ended(program)
    seconds = round(time.monotonic() - began, 1)
    failed = _FAILED.search(output)
    if failed is None and program.returncode != 0:
        raise AssertionError(f"no test failed, but the run did:\n{output}")
    return Trial(failed and failed[1], seconds, output)


def _ended(program: subprocess.Popen[str]) -> str:
    """Wait for the end; one that does not come is brought about, with all that was started."""
    try:
        return program.communicate(timeout=_LONGEST_TRIAL_SECONDS)[0]
    except BaseException:
        program.send_signal(signal.SIGINT)
        try:
            program.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            program.communicate()
        raise


def _environment(tree: Path) -> dict[str, str]:
    """Return one in which the copy comes before what is installed, for children too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return kept | {
        "PYTHONPATH": os.pathsep.join(str(tree / source) for source in SOURCES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / "hypothesis"),
    }
