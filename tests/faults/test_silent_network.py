"""The network to PostgreSQL falls silent: no word, no end. Both ends find out by themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.repository import ROOT

if TYPE_CHECKING:
    from support.figures import Figures
    from tocsin.common.postgres.embedded import Binaries

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]

NOTICED_WITHIN = 30.0
BUSY_SECONDS = 15.0
"""What a machine that runs many tests at once may add."""
OWN_NETWORK = ("unshare", "--net")


def may_have_a_network() -> bool:
    if not all(shutil.which(program) for program in ("unshare", "ip", "sysctl")):
        return False
    return subprocess.run([*OWN_NETWORK, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.long
@pytest.mark.skipif(not may_have_a_network(), reason="needs root on Linux, and iproute2")
def test_a_connection_to_postgresql_that_died_in_silence_is_noticed_at_both_ends(
    postgres_binaries: Binaries, figures: Figures
) -> None:
    program = [*OWN_NETWORK, sys.executable, "-m", "support.silent_network"]
    answer = subprocess.run(
        [*program, str(postgres_binaries.major)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
    )
    assert answer.returncode == 0, answer.stderr
    noticed = json.loads(answer.stdout)

    print(noticed)  # noqa: T201 - shown when it fails
    assert [] == [each for each in noticed.items() if each[1] > NOTICED_WITHIN + BUSY_SECONDS]
    figures.record(
        fault="links",
        silent_connections_to_PostgreSQL=len(noticed),
        slowest_noticed_s=max(noticed.values()),
        noticed=", ".join(f"{name} {seconds} s" for name, seconds in noticed.items()),
    )
