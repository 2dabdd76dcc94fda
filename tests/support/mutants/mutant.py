"""A mutant: the services with a fault put back, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path


class StaleMutantError(Exception):
    """The text that a mutant changes is no longer there exactly once."""


@dataclass(frozen=True)
class Edit:
    """In `file`, below the root of the project, `before` becomes `after`."""

    file: str
    before: str
    after: str

    def apply(self, tree: Path) -> None:
        """Change the file in a copy of the tree. Raises StaleMutantError."""
        path = tree / self.file
        text = path.read_text(encoding="utf-8")
        count = text.count(self.before)
        if count != 1:
            raise StaleMutantError(f"{self.file} has {count} times, not once:\n{self.before}")
        path.write_text(text.replace(self.before, self.after), encoding="utf-8")


@dataclass(frozen=True)
class Mutant:
    """A fault with a name, how it is put back, and the narrowest tests that must fail by it.

    `killers` are files or tests as pytest takes them; any one that fails is enough.
    """

    name: str
    edits: tuple[Edit, ...]
    killers: tuple[str, ...]


ALERT = "services/alert/src/tocsin/alert"
NOTIFY = "services/notify/src/tocsin/notify"
COMMON = "libs/common/src/tocsin/common"
CLIENT = "libs/client/src/tocsin/client"

SOURCES = ("libs/common/src", "libs/client/src", "services/alert/src", "services/notify/src")


def the(file: str, test: str) -> str:
    """Return one test of a file, as pytest takes it."""
    return f"{file}::{test}"


def missing_killers(mutant: Mutant) -> list[str]:
    """Return those killers that are no test of the suite any more."""
    return [killer for killer in mutant.killers if not _exists(*killer.split("::"))]


def _exists(file: str, test: str = "") -> bool:
    path = ROOT / file
    return path.is_file() and (not test or f"def {test}(" in path.read_text(encoding="utf-8"))
