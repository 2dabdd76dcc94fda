"""Rows of cells laid out for a width: columns where they fit, blocks of lines where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.cli.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Cell = Text | str
Row = list[Text]

_GAP = 2
_LEAST_FOR_LAST = 16


def layout(headings: Sequence[str], rows: Sequence[Sequence[Cell]], width: int) -> Iterator[Text]:
    """Yield the lines of a table.

    The last column takes what the others leave and is cut there. When they leave too little,
    each row becomes a few lines of its own, the later ones indented.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    head = [Text(heading, style="bold") for heading in headings]
    widths = [max(row[i].cell_len for row in [head, *cells]) for i in range(len(headings))]
    taken = sum(widths[:-1]) + _GAP * (len(widths) - 1)
    if taken + min(widths[-1], _LEAST_FOR_LAST) > width:
        for row in cells:
            yield from _block(row, width)
        return
    widths[-1] = min(widths[-1], width - taken)
    for row in [head, *cells]:
        yield _line(row, widths)


def _cell(given: Cell) -> Text:
    return given.copy() if isinstance(given, Text) else Text(one_line(given))


def _line(row: Row, widths: Sequence[int]) -> Text:
    for cell, width in zip(row[:-1], widths[:-1], strict=True):
        cell.pad_right(width - cell.cell_len + _GAP)
    row[-1].truncate(widths[-1], overflow="ellipsis")
    line = Text.assemble(*row)
    line.rstrip()
    return line


def _block(row: Row, width: int) -> Iterator[Text]:
    line = Text()
    for cell in row:
        if not cell.plain:
            continue
        if line.plain.strip() and line.cell_len + _GAP + cell.cell_len > width:
            yield line
            line = Text(" " * _GAP)
        elif line.plain.strip():
            line.append(" " * _GAP)
        line.append_text(cell)
    line.truncate(width, overflow="ellipsis")
    yield line
