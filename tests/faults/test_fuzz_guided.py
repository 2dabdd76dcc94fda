"""A fuzzer that sees which code its input reaches finds no bug either: where atheris is installed.

`pip install atheris`, on Linux; it is no part of what is locked, as it is not made for every
Python.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from support.figures import Figures

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris"),
]

CALLS = 2_000
# The last line of libFuzzer: how much of the code was reached.
DONE = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+)")


def reached(service: str, url: str, seed: int, folder: Path) -> tuple[int, int]:
    """Fuzz a service; return how many calls were made, and how much of its code they reached."""
    program = [sys.executable, "-m", "support.guided_fuzz", service, url, str(CALLS), str(seed)]
    python_path = os.pathsep.join(
        [str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    answer = subprocess.run(
        [*program, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": python_path},
    )
    done = DONE.search(answer.stderr)
    assert answer.returncode == 0, answer.stderr[-4000:]
    assert done is not None, answer.stderr[-4000:]
    return int(done[1]), int(done[2])


@pytest.mark.parametrize("service", ["alert", "notify"])
def test_a_fuzzer_that_is_guided_by_the_code_finds_no_bug(
    alert_url: str, notify_url: str, tmp_path: Path, *, seed: int, figures: Figures, service: str
) -> None:
    url = {"alert": alert_url, "notify": notify_url}[service]
    calls, edges = reached(service, url, seed, tmp_path)
    assert edges > 0
    figures.record(
        fault="fuzz", seed=seed, guided=service, calls=calls, edges_of_code_reached=edges, bugs=0
    )
