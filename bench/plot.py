"""The cost of a call against the size of the database, as a picture (SVG, without a library)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Report

WIDTH, HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 40, 56
_COLOURS = ("#1f6feb", "#d9480f", "#2b8a3e", "#862e9c", "#5c5f66")
_LEAST_GAP = 15  # between the names of two lines, in pixels


class Line(NamedTuple):
    """One line: its name, and its points as (size, milliseconds)."""

    name: str
    points: Sequence[tuple[int, float]]


def lines_of(
    report: Report, operations: Sequence[str], sizes: Sequence[tuple[str, int]]
) -> list[Line]:
    """Return the medians of a run as lines; `sizes` are labels with how many alerts are open."""
    lines = []
    for name in operations:
        taken = [(f"size.{name}.{label}", size) for label, size in sizes]
        points = [(size, report.figures[key].value) for key, size in taken if key in report.figures]
        if len(points) > 1:
            lines.append(Line(name, points))
    return lines


def plot(title: str, lines: Sequence[Line]) -> str:
    """Draw lines over a logarithmic axis of sizes; the axis of milliseconds begins at 0."""
    sizes = sorted({size for line in lines for size, _ in line.points})
    most = _round_up(max(cost for line in lines for _, cost in line.points))

    def x(size: int) -> float:
        share = math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(cost: float) -> float:
        return HEIGHT - _BOTTOM - cost / most * (HEIGHT - _TOP - _BOTTOM)

    parts = [_text(_LEFT, 22, title, weight="bold")]
    for step in range(5):
        cost = most * step / 4
        parts.append(_rule(_LEFT, y(cost), WIDTH - _RIGHT, y(cost)))
        parts.append(_text(_LEFT - 8, y(cost) + 4, f"{cost:g} ms", anchor="end"))
    for size in sizes:
        parts.append(_rule(x(size), HEIGHT - _BOTTOM, x(size), HEIGHT - _BOTTOM + 5))
        parts.append(_text(x(size), HEIGHT - _BOTTOM + 20, f"{size:,}", anchor="middle"))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(
        _text(middle, HEIGHT - 14, "open alerts, five times as many resolved", anchor="middle")
    )
    names = _apart([y(line.points[-1][1]) for line in lines])
    for line, colour, at in zip(lines, _COLOURS, names, strict=False):
        drawn = " ".join(f"{x(size):.1f},{y(cost):.1f}" for size, cost in line.points)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(size):.1f}" cy="{y(cost):.1f}" r="3" fill="{colour}"/>'
            for size, cost in line.points
        ]
        told = f"{line.name} {line.points[-1][1]:.2f} ms"
        parts.append(_text(WIDTH - _RIGHT + 10, at + 4, told, colour=colour))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 8 times a power of ten: its quarters are short numbers."""
    power: float = 10 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 8, 10) if factor * power >= value)


def _apart(places: Sequence[float]) -> list[float]:
    """Move names down until none covers another; they keep their order from top to bottom."""
    moved = list(places)
    last = -math.inf
    for index in sorted(range(len(places)), key=lambda each: places[each]):
        moved[index] = last = max(places[index], last + _LEAST_GAP)
    return moved


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal",
    colour: str = "#212529",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dee2e6"/>'
