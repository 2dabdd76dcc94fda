"""Writes the tables of docs/reliability.md from what the fault tests saw: `make faults`.

python docs/reliability.py FILE   keep the figures of FILE in place of older ones of the same tests,
                                  write the tables
python docs/reliability.py        write the tables anew
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Line = Mapping[str, Any]

PAGE = Path(__file__).with_suffix(".md")
FIGURES = Path(__file__).with_suffix(".jsonl")
ROOT = PAGE.parent.parent

BEGIN = "<!-- Written by `make faults`, from here on … -->\n"
END = "<!-- … to here. -->\n"

MUTANTS = "mutants"

MUST_SHOW = {
    "kills": "nothing acknowledged is lost, no key has two open alerts, watchers miss, double and "
    "disorder nothing, all is delivered; what comes twice was under way at a kill and has the same "
    "id",
    "killed senders": "every delivery is made; what comes twice was under way at a kill",
    "histories": "each has an order that explains every answer",
    "contract histories": "the contract of delivery holds in each",
    "watchers": "ordered, unique, reliable, resumable, bookmarkable",
    "links": "goes on within 5 s of healing; a peer that died without a word is noticed in 30 s",
    "pauses": "a late settle is refused, nothing is sent twice beyond the lease",
    "postgresql": "the right code, recovery by itself, a new epoch after a restore",
    "clocks": "no storm of leases, no lost retry, no poisoned key",
    "far sides": "one that hangs or fails delays no other",
    "fuzz": "never INTERNAL, never UNKNOWN, never a crash",
    "soak": "memory, descriptors and tasks stay flat",
    MUTANTS: "the suite notices each",
}
"""The rows, by the names that tests give to `figures.record`, and what each must show."""

_BESIDES = {"fault", "test", "seconds", "seed", "run"}


def page(text: str, lines: Iterable[Line]) -> str:
    """Return the page with its tables written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{_tables(sorted(lines, key=_place))}\n{END}{after}"


def read(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of figures; none when there is no such file."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _place(line: Line) -> tuple[int, str, str]:
    return list(MUST_SHOW).index(line["fault"]), line["test"], json.dumps(line, sort_keys=True)


def _tables(lines: Sequence[Line]) -> str:
    missing = [fault for fault in MUST_SHOW if fault not in {line["fault"] for line in lines}]
    parts = [
        _table([line for line in lines if line["fault"] != MUTANTS]),
        _mutants([line for line in lines if line["fault"] == MUTANTS]),
        f"No figures are kept of: {', '.join(missing)}.\n" if missing else "",
    ]
    return "\n".join(filter(None, parts))


def _table(lines: Sequence[Line]) -> str:
    rows = ["| fault | must show | was seen | took | seed |", "|---|---|---|---|---|"]
    last = ""
    for fault, parts in _by_test(lines):
        names = [name for name in parts[0] if name not in _BESIDES]
        counts = "; ".join(_count(name, [part[name] for part in parts]) for name in names)
        seconds = sum(part["seconds"] for part in parts)
        seeds = ", ".join(str(part["seed"]) for part in parts if part["seed"] is not None)
        named = "| |" if fault == last else f"| {fault} | {MUST_SHOW[fault]} |"
        rows.append(f"{named} {counts} | {seconds:,.0f} s | {seeds} |")
        last = fault
    return "\n".join([*rows, "", _runs(lines), ""]) if lines else ""


def _mutants(lines: Sequence[Line]) -> str:
    rows = ["| old fault put back | the test that noticed it | took |", "|---|---|---|"]
    for line in lines:
        file, _, test = line["killed_by"].partition("::")
        told = test.partition("[")[0] or file
        rows.append(f"| {line['mutant']} | `{told}` | {line['seconds']:g} s |")
    return "\n".join([*rows, "", _runs(lines), ""]) if lines else ""


def _runs(lines: Iterable[Line]) -> str:
    return f"Run: {'; '.join(sorted({line['run'] for line in lines}))}."


def _by_test(lines: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    """Put the parts of one test together: those that counted the same things."""
    parts: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        test = line["test"].partition("[")[0]
        parts.setdefault((line["fault"], test, *line), []).append(line)
    return [(fault, group) for (fault, *_), group in parts.items()]


def _count(name: str, values: Sequence[Any]) -> str:
    """Write a count over the parts of a test: the sum, of seconds the most, of words all."""
    if isinstance(values[0], str):
        return f"{name.replace('_', ' ')}: {', '.join(values)}"
    if name.endswith("_s"):
        return f"{name.removesuffix('_s').replace('_', ' ')} {max(values):,} s"
    return f"{name.replace('_', ' ')} {sum(values):,}"


def _source(line: Line) -> tuple[str, str]:
    """Return what brings a line about. Mutants are replaced together: some may be gone."""
    test: str = line["test"]
    return line["fault"], "" if line["fault"] == MUTANTS else test.partition("[")[0]


def _is_there(line: Line) -> bool:
    """Whether the suite still has the test."""
    file, _, test = line["test"].partition("[")[0].partition("::")
    path = ROOT / file
    return path.is_file() and f"def {test}(" in path.read_text(encoding="utf-8")


def _kept(old: Iterable[Line], new: Sequence[Line]) -> list[Line]:
    """Return the new lines with what this machine is, and the old ones of other tests."""
    replaced = {_source(line) for line in new}
    now = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()}"
    run = f"{now}, Python {platform.python_version()}"
    others = [line for line in old if _source(line) not in replaced and _is_there(line)]
    return sorted([*others, *({**line, "run": run} for line in new)], key=_place)


if __name__ == "__main__":
    for given in sys.argv[1:]:
        kept = _kept(read(FIGURES), read(Path(given)))
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in kept)
        FIGURES.write_text(text, encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), read(FIGURES)), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} is up to date.\n")
