from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from support.figures import Figures

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_was_seen_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Figures("test_kills").record(fault="kills", seed=7, raises=100)

    printed = json.loads(capsys.readouterr().out)
    assert 0 <= printed.pop("seconds")
    assert {"fault": "kills", "test": "test_kills", "seed": 7, "raises": 100} == printed


def test_no_line_cuts_another_in_two(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    many = [Figures(f"test_{number}", file) for number in range(200)]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda each: each.record(fault="kills", told="ä" * 5_000), many))

    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert {f"test_{number}" for number in range(200)} == {line["test"] for line in lines}


def test_the_seed_that_was_given_is_the_one_used(seed: int, request: pytest.FixtureRequest) -> None:
    given = request.config.getoption("seed")

    assert given is None or given == seed
    assert 0 <= seed
