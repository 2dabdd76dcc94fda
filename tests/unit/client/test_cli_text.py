"""What is printed cannot steer the terminal, and fits it."""

from __future__ import annotations

import io
import json

import pytest
from rich.text import Text

from tocsin.api.alert.v1.event_pb2 import Position
from tocsin.cli.grid import Cell, layout
from tocsin.cli.output import Output, as_json
from tocsin.cli.text import lines, one_line

HEADINGS = ("ID", "HOST", "MESSAGE")
ROWS = [["25d92e82", "web-1", "Fatal: all target directories/files do not exist"]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\e[31mred"),
        ("back\b\x07space", "back\\x08\\x07space"),
        ("right\u202eleft", "right\\u202eleft"),
        ("two\nlines\r\n\tand a tab", "two lines and a tab"),
        ("Zürich 東京 👍", "Zürich 東京 👍"),
    ],
)
def test_a_cell_is_one_line_that_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert shown == one_line(text)


def test_lines_stay_lines_and_cannot_steer_a_terminal() -> None:
    assert ["first", "    second \\e[2J"] == lines("first\n\tsecond \x1b[2J")


def test_columns_are_aligned_where_they_fit() -> None:
    told = [line.plain for line in layout(HEADINGS, ROWS, 120)]
    assert told == [
        "ID        HOST   MESSAGE",
        "25d92e82  web-1  Fatal: all target directories/files do not exist",
    ]


def test_the_last_column_is_cut_when_the_terminal_is_narrower() -> None:
    told = [line.plain for line in layout(HEADINGS, ROWS, 40)]
    assert told == ["ID        HOST   MESSAGE", "25d92e82  web-1  Fatal: all target dire…"]


def test_a_very_narrow_terminal_gets_blocks_of_lines() -> None:
    told = [line.plain for line in layout(HEADINGS, ROWS, 24)]
    assert told == ["25d92e82  web-1", "  Fatal: all target dir…"]


def test_wide_characters_are_counted_by_their_columns() -> None:
    told = [line.plain for line in layout(("A", "B"), [["東京", "x"], ["ab", "y"]], 40)]
    assert told == ["A     B", "東京  x", "ab    y"]


def test_off_a_terminal_nothing_is_cut_wrapped_or_coloured() -> None:
    out = io.StringIO()
    rows: list[list[Cell]] = [["1", Text("web-1", style="red"), "m" * 500]]
    Output(json_wanted=False, out=out).table(HEADINGS, rows)
    assert f"ID  HOST   MESSAGE\n1   web-1  {'m' * 500}\n" == out.getvalue()


def test_markup_in_what_hosts_report_is_not_obeyed() -> None:
    out = io.StringIO()
    Output(json_wanted=False, out=out).line("[bold]:smile:[/bold]")
    assert out.getvalue() == "[bold]:smile:[/bold]\n"


def test_json_has_the_names_of_the_contract_and_unset_fields() -> None:
    out = io.StringIO()
    Output(json_wanted=True, out=out).document(Position(epoch="e"))
    assert {"epoch": "e", "revision": "0"} == json.loads(out.getvalue())
    assert out.getvalue().count("\n") == 1
    assert as_json(Position()) == {"epoch": "", "revision": "0"}
