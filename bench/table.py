"""The figures as tables for people, which are also Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Report
    from bench.rows import Judged, Row

HEADS = ("what", "figure", "limit here", "ratio", "floor", "reached")
NOTE = "note"
_WORDS = {True: "yes", False: "NO", None: ""}


def number(value: float, unit: str) -> str:
    """Write a value with its unit, as exact as it deserves: three digits, or all of a rate."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    gap = "" if unit.startswith("/") else " "
    return f"{value:,.{digits}f}{gap}{unit}"


def facts_of(report: Report) -> list[str]:
    """Return what there is to know about the machine and the run, a line each."""
    facts = (*report.machine.items(), *report.run.items())
    return [f"{name}: {fact}" for name, fact in facts]


def table_of(judged: Sequence[Judged]) -> str:
    """Return the table of a run. There is a column of notes when there are notes."""
    has_notes = any(each.note for each in judged)
    rows = [_cells(each) + ((each.note,) if has_notes else ()) for each in judged]
    return aligned(HEADS + ((NOTE,) if has_notes else ()), rows)


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns stand under each other. All but the first lean to the right."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (heads, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "| " + " | ".join((first, *rest)) + " |"


def _cells(judged: Judged) -> tuple[str, ...]:
    return (
        judged.row.what,
        number(judged.value, judged.unit),
        "" if judged.limit is None else number(judged.limit, judged.unit),
        "" if judged.ratio is None else f"{judged.ratio:.2f}",
        _floor(judged.row, judged.unit),
        _WORDS[judged.reached],
    )


def _floor(row: Row, unit: str) -> str:
    bound = row.at_most if row.at_least is None else row.at_least
    if bound is None:
        return ""
    sign = "≤" if row.at_least is None else "≥"
    is_ratio = row.limits and not row.by_itself
    return f"{sign} {bound:.2f}" if is_ratio else f"{sign} {number(bound, unit)}"
