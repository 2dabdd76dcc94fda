"""docs/performance.md shows what a run measured, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from bench.figures import Figure, Report, write_report
from bench.ground import ROOT
from bench.page import FIGURES, PAGE, PEERS, PLOT, PageError, keep, parts_of, with_part
from bench.plot import Line, lines_of, plot
from bench.rows import judge
from bench.size_loads import OPERATIONS, SIZES
from bench.table import table_of

if TYPE_CHECKING:
    from pathlib import Path

PLACES = """# Fast

<!-- run: begin -->
old
<!-- run: end -->

<!-- peers: begin -->
<!-- peers: end -->

learned
"""


def report(*figures: Figure) -> Report:
    return Report({"took": "1 s"}, {"system": "Linux"}, {each.name: each for each in figures})


def test_the_page_shows_the_run_that_lies_beside_it() -> None:
    docs = ROOT / "docs"
    page = (docs / PAGE).read_text()
    written = page
    for name, text in parts_of(docs).items():
        if name == PLOT:
            assert text == (docs / PLOT).read_text()
        else:
            written = with_part(written, name, text)

    assert written == page, "write it anew: .venv/bin/python bench page docs/performance.json"


def test_a_run_is_kept_and_shown_and_all_else_stays(tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text(PLACES)
    run = report(Figure("echo", 1, "/s"), Figure("touch", 2, "/s"))
    write_report(run, tmp_path / "a.json")

    keep(tmp_path, tmp_path / "a.json")
    page = (tmp_path / PAGE).read_text()

    assert (tmp_path / FIGURES).exists()
    assert f"* system: Linux\n* took: 1 s\n\n{table_of(judge(run))}\n" in page
    assert "old" not in page
    assert page.endswith("<!-- peers: begin -->\n<!-- peers: end -->\n\nlearned\n")


def test_a_run_of_peers_stands_in_a_place_of_its_own(tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text(PLACES)
    run = report(Figure("etcd.put", 4_000, "/s"), Figure("touch", 1_000, "/s"))
    write_report(run, tmp_path / "p.json")

    keep(tmp_path, tmp_path / "p.json")
    _, _, peers = (tmp_path / PAGE).read_text().partition("<!-- peers: begin -->")

    assert (tmp_path / PEERS).exists()
    assert "| 4,000/s | 1,000/s |          0.25 |" in peers


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(PageError, match="<!-- run: begin -->"):
        with_part("# Fast\n", "run", "table")


def test_written_twice_it_is_the_same() -> None:
    once = with_part(PLACES, "run", "a table")

    assert once == with_part(once, "run", "a table")


def test_the_plot_has_a_line_for_each_call_that_was_measured_at_several_sizes() -> None:
    run = report(
        Figure("size.raise.empty", 2.0, "ms"),
        Figure("size.raise.10k", 2.1, "ms"),
        Figure("size.touch.empty", 1.0, "ms"),
    )

    assert [Line("raise", [(100, 2.0), (10_000, 2.1)])] == lines_of(run, OPERATIONS, SIZES)


def test_the_plot_is_a_picture_whose_names_do_not_cover_each_other() -> None:
    lines = [Line(name, [(100, 2.0), (1_000_000, 2.5)]) for name in ("raise <&>", "touch")]
    drawn = ET.fromstring(plot("cost", lines))

    names = {
        text.text.partition(" 2.")[0]: float(text.get("y", ""))
        for text in drawn.iter("{http://www.w3.org/2000/svg}text")
        if text.text is not None and "2.50 ms" in text.text
    }
    assert {"raise <&>", "touch"} == names.keys()
    assert abs(names["touch"] - names["raise <&>"]) >= 15
