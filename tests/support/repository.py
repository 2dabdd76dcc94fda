"""The repository itself, for tests that read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


def committed_or_to_be() -> list[Path]:
    """Return every file that is in the repository or would be by `git add .`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def is_a_checkout() -> bool:
    return (ROOT / ".git").exists()


def own_modules() -> list[Path]:
    """Return the Python files that we write and read: no stubs, no migrations, no tests."""
    return sorted(
        path
        for folder in ("libs", "services")
        for path in (ROOT / folder).rglob("src/**/*.py")
        if not {"api", "versions"} & {*path.parts}
    )
