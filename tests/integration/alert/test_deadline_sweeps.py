"""How deadlines are claimed, shared and put off, whatever the ledger makes of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from support.clock import START
from support.fleet import insert_fleet
from support.observed import at
from tocsin.alert.ledger.backup_commands import CallOffline, DeadlineAnswer, MissRun
from tocsin.alert.store.looks import HOST_LOOKS, SCHEDULE_LOOKS, claim_looks
from tocsin.alert.sweep import deadlines, suppressions
from tocsin.alert.sweep.deadlines import LEASE, PUT_OFF, REST, DeadlineSweep
from tocsin.alert.sweep.suppressions import SuppressionSweep
from tocsin.common.errors import TocsinError
from tocsin.common.postgres.failures import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from support.clock import ManualClock
    from tocsin.alert.ledger import Ledger
    from tocsin.alert.ledger.commands import Command, Result
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

# Three alerts that stand for a fourth, which is resolved.
SUPPRESSED = """
INSERT INTO alerts (alert_id, host_id, kind, dedup_key, host_name, severity, status, message, cause,
                    labels, occurrences, raise_time, last_seen_time, version, resolve_time,
                    suppressed_by)
SELECT lpad(n::text, 32, '0')::uuid, 'host', 'stale_schedule', n::text, '', 2,
       CASE n WHEN 4 THEN 3 ELSE 1 END, '', '', '{}', 1, $1::timestamptz, $1, 1,
       CASE n WHEN 4 THEN $1 END, CASE WHEN n < 4 THEN lpad('4', 32, '0')::uuid END
FROM generate_series(1, 4) n
"""
NOTHING: Result = DeadlineAnswer(changed=False)


class Deciding:
    """Takes what a sweep submits in the ledger's place, and decides as it is told."""

    def __init__(self, decide: Callable[[Command], Result] = lambda _: NOTHING) -> None:
        self.submitted: list[Command] = []
        self._decide = decide

    async def submit_many(self, commands: Sequence[Command]) -> list[Result]:
        self.submitted.extend(commands)
        return [self._decide(command) for command in commands]

    @property
    def schedules(self) -> list[str]:
        return [each.schedule_id for each in self.submitted if isinstance(each, MissRun)]


def sweep(database: Database, ledger: Deciding, clock: ManualClock) -> DeadlineSweep:
    return DeadlineSweep(
        SCHEDULE_LOOKS, MissRun, database=database, ledger=cast("Ledger", ledger), clock=clock
    )


async def execute(database: Database, query: str, *arguments: Any) -> None:
    async with database.connection() as connection:
        await connection.execute(query, *arguments)


async def look_times(database: Database) -> dict[str, datetime]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT schedule_id, look_time FROM schedules")
    return {row[0].removeprefix("schedule-"): row[1] for row in rows}


@pytest.fixture
async def fleet(alert_database: Database) -> Database:
    """Three schedules on as many hosts: due at 60, at 61 and at 62 minutes; no host is."""
    async with alert_database.connection() as connection:
        await insert_fleet(connection, 3, schedules_each=1, create_time=START, deadline_time=at(60))
        await connection.execute("UPDATE host_signs SET look_time = $1", at(24 * 60))
        await connection.execute(
            "UPDATE schedules SET look_time = look_time"
            " + (substr(schedule_id, 10, 6)::integer - 1) * interval '1 minute'"
        )
    return alert_database


async def test_what_is_due_is_given_to_the_ledger_and_nothing_else(
    fleet: Database, clock: ManualClock
) -> None:
    ledger = Deciding()
    clock.set(at(61))

    rest = await sweep(fleet, ledger, clock).step()

    assert REST == rest
    assert {"schedule-000001-1", "schedule-000002-1"} == set(ledger.schedules)


async def test_nothing_due_asks_the_ledger_nothing(fleet: Database, clock: ManualClock) -> None:
    ledger = Deciding()
    clock.set(at(60) - timedelta(microseconds=1))

    assert REST == await sweep(fleet, ledger, clock).step()
    assert [] == ledger.submitted


async def test_a_full_batch_is_followed_at_once_and_the_longest_due_goes_first(
    fleet: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "_BATCH", 2)
    ledger = Deciding()
    clock.set(at(62))
    sweeping = sweep(fleet, ledger, clock)

    assert [timedelta(), REST] == [await sweeping.step(), await sweeping.step()]
    assert "schedule-000003-1" == ledger.schedules[-1]
    assert 3 == len(ledger.schedules)


async def test_what_one_sweep_has_claimed_no_other_takes_until_the_lease_is_over(
    fleet: Database, clock: ManualClock
) -> None:
    """The first one dies after its claim: it never tells the ledger."""
    clock.set(at(62))
    async with fleet.connection() as connection:
        await claim_looks(connection, SCHEDULE_LOOKS, now=at(62), until=at(62) + LEASE, limit=2)
    other = Deciding()

    await sweep(fleet, other, clock).step()
    assert ["schedule-000003-1"] == other.schedules

    clock.advance(LEASE)
    await sweep(fleet, other, clock).step()
    assert {"schedule-000001-1", "schedule-000002-1"} < set(other.schedules)


async def test_a_schedule_that_is_being_written_is_left_out_and_not_waited_for(
    fleet: Database, clock: ManualClock
) -> None:
    ledger = Deciding()
    clock.set(at(62))
    sweeping = sweep(fleet, ledger, clock)

    async with fleet.transaction() as connection:
        await connection.execute(
            "SELECT FROM schedules WHERE schedule_id = 'schedule-000001-1' FOR UPDATE"
        )
        await sweeping.step()
        assert {"schedule-000002-1", "schedule-000003-1"} == set(ledger.schedules)
    await sweeping.step()

    assert "schedule-000001-1" == ledger.schedules[-1]


async def test_while_a_look_at_its_host_is_due_or_under_way_a_schedule_waits(
    fleet: Database, clock: ManualClock
) -> None:
    await execute(
        fleet, "UPDATE host_signs SET look_time = $1 WHERE host_id = 'host-000001'", at(62)
    )
    clock.set(at(62))
    ledger = Deciding()
    schedules = sweep(fleet, ledger, clock)
    hosts = DeadlineSweep(
        HOST_LOOKS, CallOffline, database=fleet, ledger=cast("Ledger", ledger), clock=clock
    )

    await schedules.step()
    assert {"schedule-000002-1", "schedule-000003-1"} == set(ledger.schedules)
    await hosts.step()
    await schedules.step()
    assert "schedule-000001-1" not in ledger.schedules

    # As the ledger would write it.
    await execute(fleet, "UPDATE host_signs SET look_time = NULL")
    await schedules.step()

    assert [CallOffline("host-000001"), MissRun("schedule-000001-1")] == ledger.submitted[-2:]


async def test_what_cannot_be_decided_is_put_off_by_an_hour_and_counted_and_blocks_nothing(
    fleet: Database, clock: ManualClock
) -> None:
    def decide(command: Command) -> Result:
        if command == MissRun("schedule-000001-1"):
            return TocsinError("No such thing was ever seen.", reason="INTERNAL")
        return DeadlineAnswer(changed=True)

    ledger = Deciding(decide)
    clock.set(at(62))
    sweeping = sweep(fleet, ledger, clock)

    with capture_logs() as logs:
        rest = await sweeping.step()

    assert REST == rest
    assert 1 == sweeping.blocked
    assert [("deadlines_blocked", ["schedule-000001-1"])] == [
        (entry["event"], entry["ids"]) for entry in logs
    ]
    assert {
        "000001-1": at(62) + PUT_OFF,
        "000002-1": at(62) + LEASE,
        "000003-1": at(62) + LEASE,
    } == await look_times(fleet)


async def test_what_was_written_while_it_was_looked_at_is_not_put_off(
    fleet: Database, clock: ManualClock
) -> None:
    """A schedule that could not be computed is put anew at the same moment, and well this time."""

    class Mending(Deciding):
        async def submit_many(self, commands: Sequence[Command]) -> list[Result]:
            await execute(fleet, "UPDATE schedules SET look_time = $1", at(70))
            return await super().submit_many(commands)

    clock.set(at(62))
    broken = Mending(lambda _: TocsinError("It cannot be computed.", reason="INTERNAL"))

    await sweep(fleet, broken, clock).step()

    assert {at(70)} == set((await look_times(fleet)).values())


async def test_what_the_ledger_has_put_off_itself_is_counted(
    fleet: Database, clock: ManualClock
) -> None:
    clock.set(at(61))
    sweeping = sweep(
        fleet, Deciding(lambda _: DeadlineAnswer(changed=False, is_blocked=True)), clock
    )

    await sweeping.step()

    assert 2 == sweeping.blocked


async def test_without_a_database_a_full_batch_rests_and_comes_up_again_after_the_lease(
    fleet: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "_BATCH", 3)
    clock.set(at(62))
    away = sweep(fleet, Deciding(lambda _: unavailable()), clock)

    assert REST == await away.step()
    assert 0 == away.blocked

    back = Deciding()
    clock.advance(LEASE)
    await sweep(fleet, back, clock).step()
    assert 3 == len(back.schedules)


async def test_alerts_that_do_not_come_out_are_not_asked_about_again_at_once(
    alert_database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server has let them come out, or the ledger cannot: a full batch is no backlog."""
    monkeypatch.setattr(suppressions, "_BATCH", 2)
    await execute(alert_database, SUPPRESSED, clock.now())
    changed: list[bool] = []
    ledger = Deciding(lambda _: DeadlineAnswer(changed=any(changed)))
    sweeping = SuppressionSweep(
        alert_database, cast("Ledger", ledger), clock, timedelta(minutes=10)
    )

    assert suppressions.REST == await sweeping.step()
    assert [] == ledger.submitted

    clock.advance(timedelta(minutes=10))
    assert suppressions.REST == await sweeping.step()
    assert 2 == len(ledger.submitted)
    changed.append(True)
    assert timedelta() == await sweeping.step()
