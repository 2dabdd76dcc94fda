"""Two runs side by side, and the files that they are kept in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.comparison import Change, comparison_of, figures_of, ratios_of
from bench.figures import Figure, Report, ReportError, read_report, write_report
from bench.program import main

if TYPE_CHECKING:
    from pathlib import Path


def run(touch: float, echo: float, **more: Figure) -> Report:
    figures = {"echo": Figure("echo", echo, "/s"), "touch": Figure("touch", touch, "/s"), **more}
    return Report({"took": "1 s"}, {"system": "Linux"}, figures)


def test_on_a_machine_twice_as_fast_the_ratio_is_what_it_was() -> None:
    before, after = run(2_000, 4_000), run(4_000, 8_000)

    assert [""] == [change.verdict for change in ratios_of(before, after)]
    assert ["better", "better"] == [change.verdict for change in figures_of(before, after)]


@pytest.mark.parametrize(
    ("after", "more_is_better", "verdict"),
    [
        (120, True, "better"),
        (80, True, "worse"),
        (120, False, "worse"),
        (80, False, "better"),
        (109, True, ""),
        (91, True, ""),
    ],
)
def test_a_change_beyond_the_noise_is_called_better_or_worse(
    after: float, more_is_better: bool, verdict: str
) -> None:
    assert verdict == Change("touch", 100, after, "/s", more_is_better).verdict


def test_a_value_that_was_nothing_has_no_share_to_change_by() -> None:
    assert "" == Change("touch", 0, 5, "/s", more_is_better=True).verdict


def test_what_only_one_run_has_is_named() -> None:
    told = comparison_of(run(1, 2), run(1, 2, live=Figure("live", 3, "/s")))

    assert "Only after: live" in told


def test_what_was_not_the_same_about_the_machines_is_told() -> None:
    before, after = run(1, 2), run(1, 2)
    after.machine["system"] = "Darwin"

    assert "system: Linux / Darwin" in comparison_of(before, after)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = run(1.5, 2, live=Figure("live", 3, "/s", "raised at 1/s"))
    write_report(report, tmp_path / "a.json")

    assert report == read_report(tmp_path / "a.json")


def test_a_figure_is_taken_once() -> None:
    report = run(1, 2)

    with pytest.raises(ValueError, match="touch was measured already"):
        report.add("touch", 2, "/s")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{", "is no report"),
        ("[]", "is no report"),
        ('{"format": 1}', "is no report"),
        ('{"format": 2}', "has format 2; this reads 1"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, written: str, told: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(written)

    with pytest.raises(ReportError, match=told):
        read_report(path)


def test_the_command_compares_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(run(1_000, 4_000), tmp_path / "a.json")
    write_report(run(2_000, 4_000), tmp_path / "b.json")

    assert 0 == main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    told = capsys.readouterr().out
    assert "| touch ÷ echo |" in told
    assert "+100%" in told


@pytest.mark.parametrize("option", ["--folder", "--json"])
def test_a_folder_that_is_not_there_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    missing = tmp_path / "missing"
    path = missing if option == "--folder" else missing / "a.json"

    assert 1 == main(["run", option, str(path)])
    assert f"bench: {missing} is no folder." in capsys.readouterr().err


def test_the_command_says_which_file_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing.json")

    assert 1 == main(["show", missing])
    assert f"bench: {missing} cannot be read: No such file" in capsys.readouterr().err
