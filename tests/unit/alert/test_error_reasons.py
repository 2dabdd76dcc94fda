from __future__ import annotations

import re
from pathlib import Path

import tocsin.alert
import tocsin.common
from tocsin.api.alert.v1.error_reason_pb2 import ErrorReason

GIVEN = re.compile(r"reason(?:: str)?=\"([A-Z_]+)\"|reason: str = \"([A-Z_]+)\"")


def test_every_reason_that_the_service_gives_is_in_the_contract() -> None:
    given = {
        match[1] or match[2]
        for package in (tocsin.alert, tocsin.common)
        for source in Path(str(package.__file__)).parent.rglob("*.py")
        for match in GIVEN.finditer(source.read_text())
    }

    assert given
    assert {f"ERROR_REASON_{reason}" for reason in given} <= set(ErrorReason.keys())
