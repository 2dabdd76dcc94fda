"""How things stand in the database: open alerts, and deadlines that nobody has looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.store.standing import read_standing
from tocsin.common.telemetry.measures import Family

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tocsin.alert.store.standing import Standing
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.common.telemetry.measures import Reading

OPEN = Family(
    "tocsin_alert_open_alerts",
    "gauge",
    "Alerts that are not resolved. Counted in the database: each replica tells the same.",
    ("status", "severity"),
)
LATE = Family(
    "tocsin_alert_sweep_lateness_seconds",
    "gauge",
    "For how long the deadline that passed first waits for its sweep; 0 when none waits.",
    ("sweep",),
)
FLOODED = Family(
    "tocsin_alert_flooded_hosts",
    "gauge",
    "Hosts with so many open alerts that an alert_flood stands for the others. Counted in the "
    "database.",
)
_SHOWN = (Status.OPEN, Status.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class StandingMeasures:
    """Asks the database, once for each look at the metrics."""

    database: Database
    clock: Clock

    @property
    def families(self) -> tuple[Family, ...]:
        return OPEN, LATE, FLOODED

    async def readings(self) -> list[Reading]:
        now = self.clock.now()
        async with self.database.connection() as connection:
            return list(_told(await read_standing(connection, now), now))


def _told(standing: Standing, now: datetime) -> Iterator[Reading]:
    for status in _SHOWN:
        for severity in Severity:
            count = standing.open_alerts.get((status, severity), 0)
            yield OPEN.of(count, status.name.lower(), severity.name.lower())
    yield FLOODED.of(standing.flooded_hosts)
    for sweep, due in standing.first_due.items():
        yield LATE.of(0 if due is None else (now - due).total_seconds(), sweep)
