"""Old faults put back: a suite that does not notice one of them would let it come back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.mutants.delivery import DELIVERY, END_WITHOUT_BEGINNING
from support.mutants.ledger import LEDGER, LIST_BEFORE_UPDATE, TIE_GOES_TO_SUCCESS
from support.mutants.mutant import Mutant, missing_killers
from support.mutants.stream import STREAM
from support.mutants.trial import tried, tried_unchanged
from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from support.figures import Figures

ALL = (*LEDGER, *STREAM, *DELIVERY)
QUICK = (TIE_GOES_TO_SUCCESS, LIST_BEFORE_UPDATE, END_WITHOUT_BEGINNING)


def names(mutants: tuple[Mutant, ...]) -> list[str]:
    return [mutant.name for mutant in mutants]


@pytest.mark.parametrize("mutant", ALL, ids=names(ALL))
def test_the_code_still_has_what_a_mutant_changes_and_the_suite_its_killers(mutant: Mutant) -> None:
    texts = Counter(
        (edit.file, edit.before)
        for edit in mutant.edits
        for _ in range((ROOT / edit.file).read_text(encoding="utf-8").count(edit.before))
    )
    assert dict.fromkeys(((edit.file, edit.before) for edit in mutant.edits), 1) == texts
    assert [] == missing_killers(mutant)


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert [] == [name for name, count in Counter(names(ALL)).items() if count > 1]


def test_where_nothing_was_changed_no_test_fails(tmp_path: Path) -> None:
    assert None is tried_unchanged(TIE_GOES_TO_SUCCESS.killers, tmp_path).killed_by


@pytest.mark.parametrize("mutant", QUICK, ids=names(QUICK))
def test_the_suite_notices_some_old_faults(mutant: Mutant, tmp_path: Path) -> None:
    assert tried(mutant, tmp_path).killed_by


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_where_nothing_was_changed_no_killer_fails(tmp_path: Path) -> None:
    killers = [killer for mutant in ALL for killer in mutant.killers]
    trial = tried_unchanged(killers, tmp_path)
    assert trial.killed_by is None, trial.output


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("mutant", ALL, ids=names(ALL))
def test_the_suite_notices_every_old_fault(
    mutant: Mutant, tmp_path: Path, figures: Figures
) -> None:
    trial = tried(mutant, tmp_path)
    figures.record(fault="mutants", mutant=mutant.name, killed_by=trial.killed_by or "NO TEST")
    assert trial.killed_by, trial.output
