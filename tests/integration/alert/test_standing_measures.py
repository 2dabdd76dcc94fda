"""What the metrics ask the database for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.telemetry.standing import LATE, OPEN, StandingMeasures

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database


async def late(measures: StandingMeasures) -> dict[str, object]:
    return {each.labels[0]: each.value for each in await measures.readings() if each.family is LATE}


async def test_a_sweep_is_as_late_as_the_deadline_that_passed_first(
    alert_database: Database, clock: ManualClock
) -> None:
    measures = StandingMeasures(alert_database, clock)
    assert {"hosts": 0, "schedules": 0, "dangers": 0} == await late(measures)

    async with alert_database.connection() as connection:
        for host_id, passed in (("web-1", 90), ("web-2", 30), ("web-3", -30)):
            await connection.execute(
                "INSERT INTO host_signs (host_id, look_time) VALUES ($1, $2)",
                host_id,
                clock.now() - timedelta(seconds=passed),
            )
    assert {"hosts": 90, "schedules": 0, "dangers": 0} == await late(measures)

    clock.advance(seconds=10)
    assert 100 == (await late(measures))["hosts"]


async def test_open_alerts_are_told_also_where_there_are_none(
    alert_database: Database, clock: ManualClock
) -> None:
    readings = await StandingMeasures(alert_database, clock).readings()
    told = {each.labels: each.value for each in readings if each.family is OPEN}

    assert {0} == set(told.values())
    assert ("acknowledged", "critical") in told
    assert len(told) == 6
