"""The writer lanes: how much they write at once, how long it takes, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tocsin.common.errors import TocsinError
from tocsin.common.telemetry.measures import SIZES, Family, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tocsin.alert.ledger.call import Entry
    from tocsin.common.telemetry.measures import Reading

QUEUE = Family(
    "tocsin_alert_lane_queue_commands",
    "gauge",
    "Commands that wait for the writer lanes. More than TOCSIN_ALERT_MAX_QUEUE are refused.",
)
BATCH = Family(
    "tocsin_alert_lane_batch_commands",
    "histogram",
    "Commands that were written in one transaction.",
)
COMMIT = Family(
    "tocsin_alert_lane_commit_duration_seconds",
    "histogram",
    "How long a batch took, from being taken off the queue to its commit. There may be two at a "
    "time.",
)
COMMANDS = Family(
    "tocsin_alert_lane_commands_total",
    "counter",
    "Commands by what they ask for and what became of them: OK, or the reason of the error. Those "
    "of sweeps count too: MissRun, CallOffline, Rise, Lapse and Unsuppress are what they found.",
    ("command", "result"),
)


class LaneMeasures:
    """Observes the lanes. `waiting` tells how many commands wait for it now."""

    families = (QUEUE, BATCH, COMMIT, COMMANDS)

    def __init__(self) -> None:
        self.waiting: Callable[[], int] = int
        self._sizes = Histogram(SIZES)
        self._seconds = Histogram()
        self._counts: Counter[tuple[type, str]] = Counter()

    def wrote(self, entries: Sequence[Entry], seconds: float) -> None:
        """Count a batch. It costs a fraction of a microsecond for each command."""
        if entries:
            self._sizes.observe(len(entries))
            self._seconds.observe(seconds)
            self._counts.update(map(_outcome, entries))

    def readings(self) -> Iterator[Reading]:
        yield QUEUE.of(self.waiting())
        yield BATCH.of(self._sizes)
        yield COMMIT.of(self._seconds)
        for (command, result), count in self._counts.items():
            yield COMMANDS.of(count, command.__name__, result)


def _outcome(entry: Entry) -> tuple[type, str]:
    result = entry.result
    return type(entry.command), result.reason if isinstance(result, TocsinError) else "OK"
