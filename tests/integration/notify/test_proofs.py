"""The morning proof is told on its timetable, also when all is well."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from support.alert import running_alert
from support.notify_ground import Ground
from support.watching_notify import ScriptedCalls
from tocsin.api.alert.v1.backup_service_pb2 import PutSourceGroupRequest
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.notice import Proof, ProofLine
from tocsin.notify.domain.recurrence import Recurrence, RecurrenceForm
from tocsin.notify.domain.route import Route
from tocsin.notify.store.routes import RouteStore
from tocsin.notify.sweep.alert_calls import AlertCalls
from tocsin.notify.sweep.convert import Protected
from tocsin.notify.sweep.proofs import PATIENCE, ProofSweep, proof_of

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

SEVEN = Recurrence(RecurrenceForm.CRON, "0 7 * * *", "UTC")


def a_group(name: str, age: float | None, *, late: bool = False, alerts: str = "") -> Protected:
    """Return how a source group stands; `age` in hours, `alerts` one id each."""
    hours = None if age is None else timedelta(hours=age)
    line = ProofLine("web-1", name, None, hours, timedelta(days=1), None, len(alerts))
    return Protected(line, late, frozenset(alerts))


class Mornings:
    """One route with a proof at seven, and the sweep."""

    def __init__(self, database: Database, clock: ManualClock, calls: AlertCalls) -> None:
        self.ground = Ground(database, clock)
        self.clock = clock
        self.calls = calls
        self.sweep = ProofSweep(database, calls, clock=clock, on_change=lambda: None)
        self.channel_id = UUID(int=0)

    async def begin(self) -> None:
        self.channel_id = await self.ground.channel()
        route = Route(uuid4(), 0, "on call", True, (), (self.channel_id,), proof=SEVEN)
        due = self.clock.now() + timedelta(hours=7)
        await RouteStore(self.ground.database, self.clock).create(route, next_proof_time=due)

    async def after(self, **passed: float) -> list[Proof]:
        """Let time pass, and return the proofs that may be sent by then."""
        self.clock.advance(timedelta(**passed))
        await self.sweep.step()
        claims = await self.ground.queue().claim(self.channel_id, 10)
        return [claim.message for claim in claims if isinstance(claim.message, Proof)]


@pytest.fixture
def calls() -> ScriptedCalls:
    return ScriptedCalls()


@pytest.fixture
async def mornings(notify_database: Database, clock: ManualClock, calls: ScriptedCalls) -> Mornings:
    made = Mornings(notify_database, clock, calls)
    await made.begin()
    return made


async def test_a_proof_is_told_every_morning_when_all_is_well(
    mornings: Mornings, calls: ScriptedCalls
) -> None:
    calls.protected = [a_group("home", 3), a_group("mail", 5)]

    assert [] == await mornings.after(hours=6)
    (proof,) = await mornings.after(hours=1)
    assert ("on call", 2, 0, 0, "") == (
        proof.route_name,
        proof.total,
        proof.late,
        proof.open_alerts,
        proof.problem,
    )
    assert [] == await mornings.after(hours=23)
    assert 1 == len(await mornings.after(hours=1))


async def test_times_that_were_missed_are_made_up_for_by_one_proof(mornings: Mornings) -> None:
    assert 1 == len(await mornings.after(days=3, hours=8))
    assert [] == await mornings.after(hours=22)
    assert 1 == len(await mornings.after(hours=1))


async def test_that_the_alert_service_does_not_answer_is_told_too(
    mornings: Mornings, calls: ScriptedCalls
) -> None:
    calls.away = True
    assert [] == await mornings.after(hours=7)

    (proof,) = await mornings.after(seconds=PATIENCE.total_seconds())

    assert proof.problem.startswith("tocsin-alert does not say it")
    assert (0, ()) == (proof.total, proof.lines)


async def test_an_alert_service_that_answers_in_time_is_no_problem(
    mornings: Mornings, calls: ScriptedCalls
) -> None:
    calls.away = True
    assert [] == await mornings.after(hours=7)
    calls.away = False

    (proof,) = await mornings.after(minutes=1)

    assert "" == proof.problem


async def test_a_proof_that_comes_half_a_day_late_is_not_told(mornings: Mornings) -> None:
    mornings.clock.advance(timedelta(hours=7))
    await mornings.sweep.step()

    assert [] == await mornings.after(hours=12)
    assert [DeliveryState.EXPIRED] == await mornings.ground.states(mornings.channel_id)


async def test_of_two_replicas_that_see_it_due_one_tells_it(
    mornings: Mornings, calls: ScriptedCalls
) -> None:
    database, clock = mornings.ground.database, mornings.clock
    other = ProofSweep(database, ScriptedCalls(), clock=clock, on_change=lambda: None)
    calls.meanwhile = other.step
    clock.advance(timedelta(hours=7))
    await mornings.sweep.step()

    assert 1 == len(await mornings.ground.of(mornings.channel_id))


async def test_what_the_alert_service_knows_is_what_is_told(
    notify_database: Database, clock: ManualClock, alert_url: str
) -> None:
    async with running_alert(alert_url, clock=clock) as alert:
        for name in ("home", "mail"):
            request = PutSourceGroupRequest(source_group_id=name, host_id="web-1")
            request.objective.FromTimedelta(timedelta(hours=1))
            await alert.backups.PutSourceGroup(request)
        mornings = Mornings(notify_database, clock, AlertCalls(alert.channel))
        await mornings.begin()

        (proof,) = await mornings.after(hours=7)

    assert (2, 2, "") == (proof.total, proof.late, proof.problem)
    assert {"home", "mail"} == {line.source_group for line in proof.lines}
    assert [(None, timedelta(hours=1))] * 2 == [(line.age, line.objective) for line in proof.lines]


def test_the_worst_come_first_and_an_alert_of_several_counts_once(clock: ManualClock) -> None:
    groups = [
        a_group("fine", 2),
        a_group("fine and older", 9),
        a_group("with an alert", 1, alerts="a"),
        a_group("late", 30, late=True, alerts="ab"),
        a_group("never", None, late=True),
    ]

    proof = proof_of("on call", groups, "", uuid4(), clock.now())

    assert ["late", "never", "with an alert", "fine and older", "fine"] == [
        line.source_group for line in proof.lines
    ]
    assert (5, 2, 2) == (proof.total, proof.late, proof.open_alerts)
