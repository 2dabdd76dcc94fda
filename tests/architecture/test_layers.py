from __future__ import annotations

import subprocess

import pytest

from support.repository import PROGRAMS, ROOT


def lint_imports(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAMS / "lint-imports", "--no-logo", "--no-cache", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def test_every_layer_keeps_to_its_place() -> None:
    answer = lint_imports()

    assert 0 == answer.returncode, answer.stdout


@pytest.mark.parametrize(
    "module", ["tocsin.alert.domain", "tocsin.alert.engine", "tocsin.notify.domain"]
)
def test_the_pure_modules_are_named_in_the_contract_that_keeps_them_pure(module: str) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    contract = text.split("not even indirectly", 1)[1].split("[[", 1)[0]

    assert f'"{module}"' in contract
