"""Several ledgers on one database, as several processes would be."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from support.ledgers import (
    alerts_of,
    clearing,
    count_rows,
    events_of,
    raising,
    request,
    running_ledger,
)
from support.observed import ANN, ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.alert import Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.engine import people, transitions
from tocsin.alert.engine.transitions import HostFacts, KeyState
from tocsin.alert.ledger.commands import (
    Acknowledge,
    AutoResolve,
    ChangeAnswer,
    ClearAnswer,
    Command,
    RaiseAnswer,
    RaiseOrTouch,
    Resolve,
)
from tocsin.common.errors import FailedPreconditionError, TocsinError
from tocsin.common.ids import uuid7
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Event
    from tocsin.alert.ledger import Ledger

pytestmark = pytest.mark.postgres

WRITERS = 3
SEED = 20_260_101
_OF_ONE_ALERT = (RaiseAnswer, ClearAnswer, ChangeAnswer)


@pytest.fixture
async def ledgers(alert_url: str) -> AsyncIterator[list[Ledger]]:
    """Ledgers with a pool each, that know of each other only by the database."""
    async with AsyncExitStack() as stack:
        running = []
        for number in range(WRITERS):
            database = Database(alert_url, application_name=f"writer {number}", pool_size=2)
            stack.push_async_callback(database.close)
            running.append(await stack.enter_async_context(running_ledger(database)))
        yield running


# A command of a small program on one key: `None` in place of what is known only at run time.
steps = st.one_of(
    st.builds(
        lambda minutes, severity, cause: ("fail", minutes, severity, cause),
        st.integers(0, 4),
        st.sampled_from(Severity),
        st.sampled_from(["", "locked", "no_space"]),
    ),
    st.tuples(st.just("succeed"), st.integers(0, 4)),
    st.tuples(st.just("acknowledge")),
    st.tuples(st.just("resolve")),
)
programs = st.lists(
    st.lists(steps, min_size=1, max_size=3), min_size=WRITERS, max_size=WRITERS
).map(tuple)


def command_of(step: Any, key: Key, first: Alert) -> Command:
    match step:
        case ("fail", minutes, severity, cause):
            return raising(failure(minutes, key=key, severity=severity, cause=cause))
        case ("succeed", minutes):
            return clearing(success(minutes, key=key))
        case ("acknowledge",):
            return Acknowledge(first.alert_id, "", at(10**6), ANN)
        case _:
            return Resolve(first.alert_id, "", ANN)


def seen_of(alert: Alert | None) -> Any:
    """Return what of an alert does not depend on ids and clocks."""
    return alert and (
        alert.status,
        alert.severity,
        alert.cause,
        alert.occurrences,
        alert.version,
        alert.last_seen_time,
    )


def told(answer: Any) -> Any:
    """Return what of an answer does not depend on ids and clocks."""
    match answer:
        case TocsinError():
            return answer.reason
        case ChangeAnswer():
            return answer.changed, seen_of(answer.alert)
        case _:
            return answer.outcome, seen_of(answer.alert)


@seed(SEED)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs)
async def test_what_concurrent_writers_are_told_is_explained_by_some_serial_order(
    ledgers: list[Ledger], alert_database: Database, program: tuple[list[Any], ...]
) -> None:
    key = Key(str(uuid7()), "backup_failed", "")
    first = (await ledgers[0].submit(raising(failure(0, key=key)))).alert
    assert first is not None

    async def run(ledger: Ledger, own: list[Any]) -> list[tuple[Command, Any]]:
        said = []
        for step in own:
            command = command_of(step, key, first)
            (result,) = await ledger.submit_many([command])
            said.append((command, told(result)))
        return said

    said = await asyncio.gather(*map(run, ledgers, program))

    stored = [alert for alert in await alerts_of(alert_database) if alert.key == key]
    start = Serial(KeyState(None, first), {first.alert_id: first})
    final = (seen_of(stored[-1]), len(stored))
    assert start.explains(tuple(map(tuple, said)), final), said


class Serial:
    """A key as one writer alone would have left it, tried in every order."""

    def __init__(self, state: KeyState, alerts: dict[Any, Alert]) -> None:
        self.state = state
        self.alerts = alerts

    def explains(self, said: tuple[tuple[Any, ...], ...], final: Any) -> bool:
        """Whether some order of what the writers were told, each in its own, ends in `final`."""
        if not any(said):
            left = (seen_of(self.state.alert), len(self.alerts))
            return bool(left == final)
        for place, own in enumerate(said):
            if not own:
                continue
            (command, expected), *rest = own
            after, would_tell = self.after(command)
            if would_tell == expected and after.explains(
                (*said[:place], tuple(rest), *said[place + 1 :]), final
            ):
                return True
        return False

    def after(self, command: Command) -> tuple[Serial, Any]:
        try:
            decision = self.decide(command)
        except FailedPreconditionError as refusal:
            return self, refusal.reason
        alert = decision.state.alert
        alerts = self.alerts if alert is None else {**self.alerts, alert.alert_id: alert}
        return Serial(decision.state, alerts), (decision.outcome, seen_of(decision.alert))

    def decide(self, command: Command) -> Any:
        match command:
            case RaiseOrTouch():
                return transitions.raise_or_touch(
                    self.state, command.failure, ORCHESTRATOR, HostFacts(""), uuid7
                )
            case AutoResolve():
                return transitions.clear(self.state, command.success, ORCHESTRATOR, "")
            case Acknowledge():
                act = people.Act(ANN, at(0), "", "")
                return people.acknowledge(
                    self.state, self.alerts[command.alert_id], act, command.expire_time
                )
            case Resolve():
                act = people.Act(ANN, at(0), "", "")
                return people.resolve(self.state, self.alerts[command.alert_id], act)
            case _:
                raise AssertionError(command)


KEYS = [Key(f"host-{number}", "backup_failed", "") for number in range(12)]


def random_batch(chance: random.Random, minute: int, known: list[Any]) -> list[Command]:
    """Return commands on many keys, in no order: batches whose locks cross."""
    batch: list[Command] = []
    for _ in range(chance.randint(1, 12)):
        key = chance.choice(KEYS)
        when = minute + chance.uniform(-2, 2)
        match chance.choices(["fail", "succeed", "act"], [5, 4, 1])[0]:
            case "fail":
                batch.append(
                    raising(failure(when, key=key, severity=chance.choice(list(Severity))))
                )
            case "succeed":
                batch.append(clearing(success(when, key=key)))
            case _ if known:
                alert_id = chance.choice(known)
                acknowledge = Acknowledge(alert_id, "", at(10**6), ANN)
                batch.append(acknowledge if chance.random() < 0.5 else Resolve(alert_id, "", ANN))
    return batch


async def test_ledgers_that_cross_keep_one_open_alert_a_key_and_a_whole_log(
    ledgers: list[Ledger], alert_database: Database
) -> None:
    results: list[Any] = []

    async def write(ledger: Ledger, number: int) -> None:
        chance = random.Random(SEED + number)
        known: list[Any] = []
        for minute in range(25):
            batch = random_batch(chance, minute, known)
            for result in await ledger.submit_many(batch):
                results.append(result)
                if isinstance(result, _OF_ONE_ALERT) and result.alert is not None:
                    known.append(result.alert.alert_id)

    await asyncio.gather(
        *(
            write(ledger, 10 * place + own)
            for place, ledger in enumerate(ledgers)
            for own in range(4)
        )
    )

    refusals = [result for result in results if isinstance(result, TocsinError)]
    answers = [result for result in results if not isinstance(result, TocsinError)]
    alerts = await alerts_of(alert_database)
    assert {"ALERT_RESOLVED"} >= {refusal.reason for refusal in refusals}
    check_log(await events_of(alert_database), alerts, answers)
    check_chains(alerts)
    accepted = [
        answer
        for answer in answers
        if isinstance(answer, RaiseAnswer) and answer.outcome != RaiseOutcome.STALE
    ]
    assert len(accepted) == sum(alert.occurrences for alert in alerts)


def check_log(events: list[Event], alerts: list[Alert], answers: Sequence[Any]) -> None:
    """Every alert is raised first, resolved last, and its versions rise; nothing is left out."""
    stored = {alert.alert_id: alert for alert in alerts}
    in_order = sorted(events, key=lambda event: event.alert.alert_id)
    for alert_id, group in groupby(in_order, key=lambda event: event.alert.alert_id):
        own = list(group)
        versions = [event.alert.version for event in own]
        assert EventType.RAISED == own[0].type
        assert sorted(set(versions)) == versions
        assert EventType.RESOLVED not in [event.type for event in own[:-1]]
        assert (own[-1].type is EventType.RESOLVED) == (stored[alert_id].status is Status.RESOLVED)
        if own[-1].type is EventType.RESOLVED:
            assert own[-1].alert == stored[alert_id]
    told_of = [
        sum(
            isinstance(answer, RaiseAnswer) and answer.outcome == RaiseOutcome.RAISED
            for answer in answers
        ),
        sum(
            (isinstance(answer, ClearAnswer) and answer.outcome == ClearOutcome.RESOLVED)
            or (
                isinstance(answer, ChangeAnswer)
                and answer.changed
                and answer.alert.status is Status.RESOLVED
            )
            for answer in answers
        ),
    ]
    assert told_of == [
        sum(event.type is kind for event in events)
        for kind in (EventType.RAISED, EventType.RESOLVED)
    ]


def check_chains(alerts: list[Alert]) -> None:
    """The alerts of a key follow each other, and only the last may stand."""
    by_key = sorted(alerts, key=lambda alert: alert.key)
    for _, group in groupby(by_key, key=lambda alert: alert.key):
        own = {alert.previous_alert_id: alert for alert in group}
        place, count = None, 0
        while place in own:
            alert = own[place]
            place, count = alert.alert_id, count + 1
            assert alert.status is Status.RESOLVED or count == len(own)
        assert count == len(own)


async def test_one_request_id_from_several_processes_at_once_is_applied_once(
    ledgers: list[Ledger], alert_database: Database
) -> None:
    rounds = 30
    for number in range(rounds):
        same = raising(failure(0, key=KEYS[0]), request(f"r-{number}", "same"))
        answers = await asyncio.gather(*(ledger.submit(same) for ledger in ledgers))
        assert [False] + [True] * (WRITERS - 1) == sorted(answer.replayed for answer in answers)

    (alert,) = await alerts_of(alert_database)
    assert rounds == alert.occurrences


async def test_one_request_id_for_other_things_at_once_is_applied_to_one_of_them(
    ledgers: list[Ledger], alert_database: Database
) -> None:
    rounds = 30
    for number in range(rounds):
        results = await asyncio.gather(
            *(
                ledger.submit_many(
                    [raising(failure(0, key=KEYS[place]), request(f"r-{number}", str(place)))]
                )
                for place, ledger in enumerate(ledgers)
            )
        )
        refused = [result for (result,) in results if isinstance(result, TocsinError)]
        assert ["REQUEST_ID_REUSED"] * (WRITERS - 1) == [error.reason for error in refused]

    assert rounds == sum(alert.occurrences for alert in await alerts_of(alert_database))
    assert rounds == await count_rows(alert_database, "requests")
