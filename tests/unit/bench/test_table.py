"""How figures are judged and shown."""

from __future__ import annotations

import pytest

from bench.figures import Figure, Report, Unit
from bench.rows import ROWS, Row, judge
from bench.table import number, table_of


def report_of(**figures: tuple[float, Unit]) -> Report:
    return Report(figures={name: Figure(name, *given) for name, given in figures.items()})


def reached(row: Row, report: Report) -> bool | None:
    (judged,) = judge(report, (row,))
    return judged.reached


def test_a_figure_with_a_limit_is_judged_by_its_ratio_to_the_limit() -> None:
    report = report_of(touch=(6_500, "/s"), echo=(10_000, "/s"))

    assert reached(Row("touches", "touch", ("echo",), at_least=0.65), report)
    assert not reached(Row("touches", "touch", ("echo",), at_least=0.66), report)


def test_several_limits_are_added_up() -> None:
    report = report_of(call=(3.0, "ms"), echo=(1.0, "ms"), upsert=(0.5, "ms"))
    (judged,) = judge(report, (Row("call", "call", ("echo", "upsert"), at_most=2.5),))

    assert (1.5, 2.0, True) == (judged.limit, judged.ratio, judged.reached)


def test_a_figure_without_a_limit_is_judged_by_itself() -> None:
    report = report_of(p99=(25.0, "ms"))

    assert reached(Row("p99", "p99", at_most=25), report)
    assert not reached(Row("p99", "p99", at_most=24.9), report)
    assert None is reached(Row("p99", "p99"), report)


def test_a_figure_may_be_judged_by_itself_and_stand_beside_its_limit() -> None:
    report = report_of(heard=(3.0, "ms"), bare=(1.0, "ms"))
    row = Row("heard", "heard", ("bare",), at_most=4, by_itself=True)
    (judged,) = judge(report, (row,))

    assert (1.0, 3.0, True) == (judged.limit, judged.ratio, judged.reached)
    assert "≤ 4.00 ms" in table_of([judged])


def test_without_its_limit_a_figure_is_shown_and_not_judged() -> None:
    (judged,) = judge(report_of(touch=(1, "/s")), (Row("touch", "touch", ("echo",), at_least=1),))

    assert (None, None) == (judged.ratio, judged.reached)


def test_what_was_not_measured_has_no_row() -> None:
    assert [] == judge(report_of())


def test_no_two_rows_show_the_same_figure_and_every_limit_has_a_row() -> None:
    shown = [row.figure for row in ROWS]

    assert len(shown) == len(set(shown))
    limits = {limit for row in ROWS for limit in row.limits}
    # Those of the empty database stand beside those of the large one.
    assert set(shown) >= {limit for limit in limits if not limit.endswith(".empty")}


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (16_732.4, "/s", "16,732/s"),
        (0.4321, "ms", "0.43 ms"),
        (25.04, "ms", "25.0 ms"),
        (101.6, "MiB", "102 MiB"),
    ],
)
def test_a_number_is_as_exact_as_it_deserves(value: float, unit: str, written: str) -> None:
    assert written == number(value, unit)


def test_the_table_is_markdown_with_aligned_columns() -> None:
    report = report_of(touch=(5_000, "/s"), echo=(10_000, "/s"))
    rows = (Row("echo", "echo"), Row("touch", "touch", ("echo",), at_least=0.65))

    assert [
        "| what  |   figure | limit here | ratio |  floor | reached |",
        "| ----- | -------: | ---------: | ----: | -----: | ------: |",
        "| echo  | 10,000/s |            |       |        |         |",
        "| touch |  5,000/s |   10,000/s |  0.50 | ≥ 0.65 |      NO |",
    ] == table_of(judge(report, rows)).splitlines()


def test_notes_stand_in_a_column_of_their_own_when_there_are_any() -> None:
    report = Report(figures={"echo": Figure("echo", 1.0, "/s", "by h2load")})

    assert table_of(judge(report, (Row("echo", "echo"),))).endswith("| by h2load |")
