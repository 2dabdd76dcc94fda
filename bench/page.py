"""docs/performance.md: what stands there of a run is written by this, so that it cannot drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figures import read_report, write_report
from bench.peers.rows import has_peers, peers_table
from bench.plot import lines_of, plot
from bench.rows import judge
from bench.size_loads import OPERATIONS, SIZES
from bench.table import facts_of, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.figures import Report

PAGE, FIGURES, PEERS, PLOT = "performance.md", "performance.json", "peers.json", "performance.svg"
"""What lies in docs/: the page, the two runs that it shows, and the picture."""

_TITLE = "Median of one call after the other"


class PageError(Exception):
    """The page has no place for a part; the message says which."""


def keep(docs: Path, file: Path) -> None:
    """Make a run the one that the page shows, and write the page."""
    report = read_report(file)
    write_report(report, docs / (PEERS if has_peers(report) else FIGURES))
    write_page(docs)


def write_page(docs: Path) -> None:
    """Write the parts of the page, and the picture, from the runs that lie beside it."""
    for name, text in parts_of(docs).items():
        if name == PLOT:
            (docs / PLOT).write_text(text)
        else:
            page = docs / PAGE
            page.write_text(with_part(page.read_text(), name, text))


def parts_of(docs: Path) -> dict[str, str]:
    """Return what the page has to show, by the name of its place."""
    parts = {}
    if (docs / FIGURES).exists():
        report = read_report(docs / FIGURES)
        parts["run"] = _facts(report) + "\n\n" + table_of(judge(report))
        if lines := lines_of(report, OPERATIONS, SIZES):
            parts[PLOT] = plot(_TITLE, lines)
            parts["run"] += f"\n\n![{_TITLE}, against the size of the database]({PLOT})"
    if (docs / PEERS).exists():
        peers = read_report(docs / PEERS)
        parts["peers"] = _facts(peers) + "\n\n" + peers_table(peers)
    return parts


def with_part(page: str, name: str, text: str) -> str:
    """Return a page with a part of it replaced. Raises PageError when it has no place for it."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, found_too, after = rest.partition(end)
    if not (found and found_too):
        raise PageError(f"{PAGE} needs the lines {begin} and {end}.")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _facts(report: Report) -> str:
    return "\n".join(f"* {fact}" for fact in facts_of(report))
