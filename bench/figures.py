"""What a run has measured, and how it is kept in a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1

Unit = Literal["/s", "ms", "s", "MiB", "%"]
"""Of a rate more is better, of all others less."""


class ReportError(Exception):
    """A file is no report of this program; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `note` says under what circumstances, for people."""

    name: str
    value: float
    unit: Unit
    note: str = ""


@dataclass(slots=True)
class Report:
    """The figures of one run by their names, in the order in which they were taken.

    `run` says how it was taken (time, length of the loads), `machine` on what.
    """

    run: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)

    def add(self, name: str, value: float, unit: Unit, note: str = "") -> None:
        """Keep a figure. A name is taken once in a run."""
        if name in self.figures:
            raise ValueError(f"{name} was measured already.")
        self.figures[name] = Figure(name, value, unit, note)

    def __iter__(self) -> Iterator[Figure]:
        return iter(self.figures.values())


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    document = {
        "format": FORMAT,
        "run": report.run,
        "machine": report.machine,
        "figures": [asdict(figure) for figure in report],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def read_report(path: Path) -> Report:
    """Read what `write_report` wrote. Raises ReportError."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise ReportError(f"{path} has format {document['format']}; this reads {FORMAT}.")
        figures = [Figure(**figure) for figure in document["figures"]]
        return Report(document["run"], document["machine"], {each.name: each for each in figures})
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise ReportError(f"{path} is no report of this program.") from None
