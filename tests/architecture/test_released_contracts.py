"""What was released stays readable: `protos/released.binpb` is what the last version had."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from support.repository import PROGRAMS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

RELEASED = ROOT / "protos" / "released.binpb"


def breaking(folder: Path) -> str:
    """Return what in the protos of a folder breaks those who use the released ones."""
    command = [str(PROGRAMS / "buf"), "breaking", "--against", str(RELEASED)]
    told = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    return told.stdout + told.stderr


def test_no_contract_breaks_those_who_use_the_released_one() -> None:
    assert "" == breaking(ROOT)


def test_a_field_that_is_gone_would_be_seen(tmp_path: Path) -> None:
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    proto = tmp_path / "protos" / "tocsin" / "api" / "alert" / "v1" / "event.proto"
    kept = [line for line in proto.read_text().splitlines() if "string event_id" not in line]
    proto.write_text("\n".join(kept))

    assert 'field "2" with name "event_id"' in breaking(tmp_path)
