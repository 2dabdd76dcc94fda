"""How far a database is to be migrated, by the phase of an update. Pure decisions."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from tocsin.common.postgres.revisions import MigrationError, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.common.postgres.revisions import Revision


def goal(waiting: Sequence[Revision], phase: Phase | None, *, fresh: bool) -> str | None:
    """Return the revision to go to, None to stay, when `waiting` has not been applied.

    A `fresh` database serves no older code, so it gets all. Raises MigrationError when the phases
    of several versions would be mixed.
    """
    if phase is None or fresh:
        return waiting[-1].name if waiting else None
    first = list(takewhile(lambda each: each.phase is not Phase.AFTER, waiting))
    rest = waiting[len(first) :]
    mixed = next((each.name for each in rest if each.phase is not Phase.AFTER), None)
    if mixed is not None:
        raise MigrationError(
            f"{rest[0].name} removes what an older version uses, and {mixed} comes after it: "
            "there are several versions in between. Update to one after the other, or stop every "
            "replica and migrate without a phase."
        )
    if phase is Phase.BEFORE:
        return first[-1].name if first else None
    if first:
        raise MigrationError(
            f"{first[0].name} comes before the code. Migrate with the phase `before`, update every "
            "replica, then migrate with the phase `after`."
        )
    return rest[-1].name if rest else None
