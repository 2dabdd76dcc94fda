"""docs/reliability.md shows what the fault tests saw, and has a row for each of them."""

from __future__ import annotations

import ast
import runpy
from typing import TYPE_CHECKING, Any

from support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = runpy.run_path(str(ROOT / "docs" / "reliability.py"))
MARKED = f"# Head\n{PAGE['BEGIN']}old\n{PAGE['END']}\nTail\n"


def faults_recorded() -> Iterator[str]:
    """Yield what the tests name when they record."""
    for folder in ("faults", "contract", "integration", "e2e"):
        for path in (ROOT / "tests" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "record":
                    yield from (
                        keyword.value.value
                        for keyword in node.keywords
                        if keyword.arg == "fault" and isinstance(keyword.value, ast.Constant)
                        if isinstance(keyword.value.value, str)
                    )


def a_line(fault: str, test: str = "test_it", **counts: Any) -> dict[str, Any]:
    return {"fault": fault, "test": test, "seconds": 2.5, "seed": 7, "run": "here", **counts}


def test_the_rows_are_those_of_the_suite() -> None:
    assert set(PAGE["MUST_SHOW"]) == set(faults_recorded())


def test_what_takes_long_records_what_it_saw() -> None:
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for folder in ("faults", "contract", "integration", "e2e")
        for path in (ROOT / "tests" / folder).rglob("test_*.py")
    }
    assert [] == [
        name
        for name, text in sorted(texts.items())
        if "mark.long" in text and "figures.record(" not in text
    ]


def test_the_page_says_of_each_row_what_is_done() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert [] == [fault for fault in PAGE["MUST_SHOW"] if f"\n| {fault} | " not in text]


def test_the_page_shows_the_figures_that_are_kept() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    kept = PAGE["read"](ROOT / "docs" / "reliability.jsonl")
    assert PAGE["page"](text, kept) == text, "run `.venv/bin/python docs/reliability.py`"


def test_only_what_stands_between_the_marks_is_written_anew() -> None:
    lines = [a_line("kills", raises=1_000_000, slowest_s=1.5)]
    text = PAGE["page"](MARKED, lines)
    assert text.startswith("# Head\n")
    assert text.endswith("\nTail\n")
    assert "old" not in text
    assert "raises 1,000,000; slowest 1.5 s | 2 s | 7 |" in text
    assert PAGE["page"](text, lines) == text


def test_the_parts_of_one_test_are_added_up() -> None:
    lines = [a_line("contract histories", f"test_it[{part}]", histories=250) for part in range(8)]
    assert "histories 2,000 | 20 s |" in PAGE["page"](MARKED, lines)


def test_faults_without_figures_are_named() -> None:
    assert "No figures are kept of: killed senders, " in PAGE["page"](MARKED, [a_line("kills")])


ITSELF = "tests/unit/support/test_reliability_page.py"
THIS = f"{ITSELF}::test_new_figures_of_a_test_take_the_place_of_its_old_ones"
ANOTHER = f"{ITSELF}::test_the_rows_are_those_of_the_suite"


def test_new_figures_of_a_test_take_the_place_of_its_old_ones() -> None:
    old = [a_line("links", f"{THIS}[3]", cut=1), a_line("links", ANOTHER, cut=2)]
    kept = PAGE["_kept"](old, [a_line("links", f"{THIS}[9]", cut=3)])
    assert [3, 2] == [each["cut"] for each in kept]
    assert "here" != kept[0]["run"]
    assert "here" == kept[1]["run"]


def test_figures_of_a_test_that_is_gone_go_with_it() -> None:
    old = [a_line("links", f"{ITSELF}::test_gone"), a_line("kills", "tests/gone.py::test_it")]
    assert ["watchers"] == [each["fault"] for each in PAGE["_kept"](old, [a_line("watchers")])]


def test_mutants_are_replaced_all_together() -> None:
    old = [a_line("mutants", f"{THIS}[{name}]", mutant=name) for name in ("a", "b")]
    kept = PAGE["_kept"](old, [a_line("mutants", f"{THIS}[b]", mutant="b")])
    assert ["b"] == [each["mutant"] for each in kept]
