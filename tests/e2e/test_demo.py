"""`make demo`: the whole story, in a process of its own, and nothing of it left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.descendants import all_gone, descendants_of

if TYPE_CHECKING:
    from subprocess import CompletedProcess

pytestmark = [pytest.mark.slow]

DEMO = Path(__file__).parents[2] / "deploy" / "demo"


def demo(
    temporary: Path, *words: str, path: str = "/usr/local/bin:/usr/bin:/bin"
) -> CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), *words],
        env={**_environment(temporary), "PATH": path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def _environment(temporary: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(temporary),
        # What is set for other services of this machine must not reach the demo's own.
        "TOCSIN_NOTIFY_SECRET_KEY": "not base64",
        # Nor may a proxy come between the parts.
        "http_proxy": "http://127.0.0.1:1",
    }


@pytest.fixture
def temporary(open_folder: Path) -> Path:
    return open_folder


def test_the_demo_shows_every_step_on_recorded_restic_output(temporary: Path) -> None:
    told = demo(temporary, "--restic", "recorded")
    assert (0, "") == (told.returncode, told.stderr)
    assert "output of restic 0.14.0, recorded" in told.stdout
    assert "All 11 steps were seen" in told.stdout
    assert 5 == told.stdout.count("signature verified")
    assert [] == list(temporary.iterdir())


def test_a_demo_that_fails_shows_the_ends_of_the_logs_and_leaves_nothing_behind(
    temporary: Path,
) -> None:
    programs = temporary / "programs"
    programs.mkdir()
    (programs / "restic").write_text("#!/bin/sh\necho restic 9.9 that never fails\n")
    (programs / "restic").chmod(0o755)
    told = demo(temporary, "--restic", "real", path=f"{programs}:/usr/bin:/bin")
    assert 1 == told.returncode
    assert "The demo failed after" in told.stderr
    assert "Step 4: not seen: a backup of photos that fails" in told.stderr
    for log in ("alert.log", "notify.log", "postgres.log"):
        assert f"The end of {log}:" in told.stderr
    assert "Traceback" not in told.stderr
    assert [programs] == list(temporary.iterdir())


@pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed")
def test_the_demo_shows_every_step_with_the_restic_of_this_machine(temporary: Path) -> None:
    told = demo(temporary, "--restic", "real")
    assert (0, "") == (told.returncode, told.stderr)
    assert "run for real" in told.stdout
    assert "All 11 steps were seen" in told.stdout
    assert [] == list(temporary.iterdir())


def test_a_demo_that_is_stopped_in_the_middle_leaves_nothing_behind(temporary: Path) -> None:
    begun = subprocess.Popen(
        [sys.executable, str(DEMO), "--restic", "recorded"],
        env=_environment(temporary),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with begun:
        assert begun.stdout is not None
        while not begun.stdout.readline().startswith("3."):
            assert begun.poll() is None
        children = descendants_of(begun.pid)
        begun.terminate()
        _, err = begun.communicate(timeout=60)
    assert (130, "") == (begun.returncode, err)
    assert len(children) >= 3
    assert all_gone(children)
    assert [] == list(temporary.iterdir())
