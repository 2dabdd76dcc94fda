from __future__ import annotations

import re
import tomllib

import pytest

from support.repository import ROOT, committed_or_to_be, is_a_checkout

pytestmark = pytest.mark.skipif(not is_a_checkout(), reason="no git checkout")

# Written in parts, so that this file does not find itself.
INDEX_HOSTS = re.compile(
    "|".join((r"pypi\.(?:org|python)", "python" + "hosted", r"https?://[^ ]*/simple/?\b"))
)
MACHINE_PATHS = re.compile(r"/(?:root|work|Users/\w+|home/\w+)/")


def mentions(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in committed_or_to_be():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(lines, 1)
            if pattern.search(line)
        ]
    return found


def test_no_file_names_a_package_index() -> None:
    assert [] == mentions(INDEX_HOSTS)


def test_no_file_names_a_path_of_the_machine_that_it_was_written_on() -> None:
    assert [] == mentions(MACHINE_PATHS)


@pytest.mark.parametrize("name", ["run", "dev"])
def test_every_dependency_is_locked_with_hashes(name: str) -> None:
    lock = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = [line for line in lock.splitlines() if line and line[0] not in " #"]

    assert pins
    assert [] == [line for line in pins if not re.match(r"[\w.\[\]-]+==\S+.* \\$", line)]


def test_the_four_distributions_agree_on_version_licence_and_python() -> None:
    projects = [
        tomllib.loads(path.read_text())["project"]
        for path in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    ]

    assert 4 == len(projects)
    assert 1 == len({project["version"] for project in projects})
    assert {("Apache-2.0", ">=3.11")} == {
        (project["license"], project["requires-python"]) for project in projects
    }
