from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from support.repository import PROGRAMS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

STUBS = ROOT / "libs/common/src"


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted((folder / "tocsin/api").rglob("*.py*"))
        if path.suffix in {".py", ".pyi"}
    }


def test_the_committed_stubs_are_those_that_the_protos_give(tmp_path: Path) -> None:
    subprocess.run(
        # The environment is taken as it is (-o): a test installs nothing.
        [
            "make",
            "-s",
            "-o",
            f"{sys.prefix}/.dev",
            "protos",
            f"VENV={sys.prefix}",
            f"STUBS={tmp_path}",
        ],
        cwd=ROOT,
        check=True,
        env={**os.environ, "MAKEFLAGS": ""},
    )
    generated, committed = contents(tmp_path), contents(STUBS)

    assert sorted(generated) == sorted(committed), "run `make protos`"
    assert [] == [name for name in generated if generated[name] != committed[name]]


def test_the_protos_are_clean_and_every_element_is_commented(tmp_path: Path) -> None:
    answer = subprocess.run(
        [PROGRAMS / "buf", "lint"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "BUF_CACHE_DIR": str(tmp_path)},
    )

    assert (0, "") == (answer.returncode, answer.stdout + answer.stderr)


def test_every_method_of_the_contracts_has_its_client() -> None:
    clients = [each.read_text() for each in ROOT.glob("libs/client/src/tocsin/client/*.py")]
    called = set(re.findall(r"\w+\.([A-Z]\w+)\b", "".join(clients)))
    protos = [each.read_text() for each in ROOT.glob("protos/tocsin/api/*/v1/*.proto")]
    methods = set(re.findall(r"^  rpc (\w+)\(", "".join(protos), re.MULTILINE))

    assert len(methods) > 50
    assert set() == methods - called
