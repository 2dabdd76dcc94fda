"""Two runs side by side.

Figures of different machines, or of one machine at different moments, say little. What may be
compared are the ratios of each run to its own limits; so those come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.rows import judge
from bench.table import aligned, number

if TYPE_CHECKING:
    from bench.figures import Report

SAME_WITHIN = 0.1
"""Changes up to this share of the former value are called none."""

HEADS = ("what", "before", "after", "change", "")


class Change(NamedTuple):
    """One value in both runs. `more_is_better` says what to make of its growth."""

    what: str
    before: float
    after: float
    unit: str
    more_is_better: bool

    @property
    def share(self) -> float:
        """By which part of the former value it changed; 0 when that was 0."""
        return (self.after - self.before) / self.before if self.before else 0.0

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or nothing when it is the same within the noise."""
        if abs(self.share) <= SAME_WITHIN:
            return ""
        return "better" if (self.share > 0) == self.more_is_better else "worse"


def ratios_of(before: Report, after: Report) -> list[Change]:
    """Return how the ratios to the limits changed, of rows that both runs have."""
    former = {each.row.figure: each.ratio for each in judge(before)}
    changes = []
    for each in judge(after):
        ratio = former.get(each.row.figure)
        if ratio is not None and each.ratio is not None:
            what = f"{each.row.figure} ÷ {' + '.join(each.row.limits)}"
            changes.append(Change(what, ratio, each.ratio, "", each.unit == "/s"))
    return changes


def figures_of(before: Report, after: Report) -> list[Change]:
    """Return how the figures changed that both runs have, in the order of the later one."""
    return [
        Change(
            figure.name,
            before.figures[figure.name].value,
            figure.value,
            figure.unit,
            figure.unit == "/s",
        )
        for figure in after
        if figure.name in before.figures
    ]


def comparison_of(before: Report, after: Report) -> str:
    """Return both runs as tables: the ratios, then the figures, then what only one of them has."""
    parts = [
        aligned(HEADS, [_cells(change) for change in changes])
        for changes in (ratios_of(before, after), figures_of(before, after))
    ]
    for name, one, other in (("before", before, after), ("after", after, before)):
        alone = [figure.name for figure in one if figure.name not in other.figures]
        if alone:
            parts.append(f"Only {name}: {', '.join(alone)}")
    unlike = [
        f"{name}: {before.machine.get(name, '?')} / {after.machine.get(name, '?')}"
        for name in sorted(before.machine.keys() | after.machine.keys())
        if before.machine.get(name) != after.machine.get(name)
    ]
    if unlike:
        parts.append("What was not the same:\n" + "\n".join(f"  {line}" for line in unlike))
    return "\n\n".join(parts)


def _cells(change: Change) -> tuple[str, ...]:
    return (
        change.what,
        number(change.before, change.unit).strip(),
        number(change.after, change.unit).strip(),
        f"{change.share:+.0%}",
        change.verdict,
    )
