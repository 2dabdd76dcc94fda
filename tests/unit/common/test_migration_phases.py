from __future__ import annotations

import pytest

from support.postgres import migrations_of
from tocsin.common.postgres.phases import goal
from tocsin.common.postgres.revisions import (
    MigrationError,
    Phase,
    Revision,
    SchemaState,
    read_state,
    revisions,
    written_state,
)

# The last ones that were made before there were phases.
BEFORE_PHASES = {"alert": "alert0002", "notify": "notify0003"}


def waiting(phases: str) -> list[Revision]:
    """Revisions from bell0002 on: b for one before the code, a for one after it."""
    named = {"b": Phase.BEFORE, "a": Phase.AFTER, "-": None}
    return [Revision(f"bell{n:04}", named[each]) for n, each in enumerate(phases, 2)]


@pytest.mark.parametrize(
    ("phases", "phase", "revision"),
    [
        ("", None, None),
        ("bba", None, "bell0004"),
        ("bba", Phase.BEFORE, "bell0003"),
        ("a", Phase.BEFORE, None),
        ("aa", Phase.AFTER, "bell0003"),
        ("", Phase.AFTER, None),
        ("-b", Phase.BEFORE, "bell0003"),
    ],
)
def test_a_phase_goes_so_far(phases: str, phase: Phase | None, revision: str | None) -> None:
    assert revision == goal(waiting(phases), phase, fresh=False)


@pytest.mark.parametrize("phase", [Phase.BEFORE, Phase.AFTER, None])
def test_a_fresh_database_goes_all_the_way(phase: Phase | None) -> None:
    assert "bell0004" == goal(waiting("bab"), phase, fresh=True)


@pytest.mark.parametrize("phase", list(Phase))
def test_the_phases_of_several_versions_are_not_mixed(phase: Phase) -> None:
    with pytest.raises(MigrationError, match="bell0003 removes what an older version uses"):
        goal(waiting("bab"), phase, fresh=False)


def test_what_comes_after_the_code_does_not_come_before_what_comes_before_it() -> None:
    with pytest.raises(MigrationError, match="bell0002 comes before the code"):
        goal(waiting("ba"), Phase.AFTER, fresh=False)


@pytest.mark.parametrize(
    ("remembered", "head", "serves"),
    [
        ("bell0003", "bell0003", True),
        ("bell0003", "bell0004", True),
        ("bell0004", "bell0003", False),
        (None, "bell0003", False),
        ("bell0003", "horn0009", False),
    ],
)
def test_a_newer_schema_serves_code_that_is_not_too_old(
    remembered: str | None, head: str, serves: bool
) -> None:
    assert serves is SchemaState("bell0005", remembered).serves(head)


def test_the_oldest_code_is_read_as_it_was_written() -> None:
    assert SchemaState("bell0005", "bell0003") == read_state("bell0005", written_state("bell0003"))


@pytest.mark.parametrize("service", sorted(BEFORE_PHASES))
def test_every_migration_says_its_phase(service: str) -> None:
    new = [each for each in revisions(migrations_of(service)) if each.name > BEFORE_PHASES[service]]

    assert [] == [each.name for each in new if each.phase is None]
