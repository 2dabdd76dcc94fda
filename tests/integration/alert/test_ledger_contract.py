"""The rows of the contract, through the real ledger on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.ledgers import (
    alerts_of,
    clearing,
    count_rows,
    events_of,
    raising,
    request,
    running_ledger,
)
from support.observed import ANN, BOB, KEY, at, failure, success
from tocsin.alert.domain.alert import Acknowledgement, ResolveReason, Severity, Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure, Success
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.engine.observe import observed_at
from tocsin.alert.ledger.commands import (
    Acknowledge,
    ChangeAnswer,
    ClearAnswer,
    Lapse,
    RaiseAnswer,
    Resolve,
)
from tocsin.common.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Event
    from tocsin.alert.ledger import Ledger
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres


@pytest.fixture
async def ledger(alert_database: Database, clock: ManualClock) -> AsyncIterator[Ledger]:
    async with running_ledger(alert_database, clock=clock) as running:
        yield running


def of(answer: RaiseAnswer | ClearAnswer | ChangeAnswer) -> Alert:
    assert answer.alert is not None
    return answer.alert


def kinds(events: list[Event]) -> list[EventType]:
    return [event.type for event in events]


async def stored(database: Database) -> Alert:
    (alert,) = await alerts_of(database)
    return alert


async def acknowledge(ledger: Ledger, alert: Alert, until: float = 24 * 60) -> ChangeAnswer:
    return await ledger.submit(Acknowledge(alert.alert_id, "on it", at(until), ANN))


async def test_a_raise_with_nothing_open_is_raised_and_written_with_one_event(
    ledger: Ledger, alert_database: Database, clock: ManualClock
) -> None:
    clock.advance(seconds=7)
    observed = failure(0, cause="locked", labels={"team": "storage"}, severity=Severity.CRITICAL)

    answer = await ledger.submit(raising(observed))

    assert (RaiseOutcome.RAISED, False) == (answer.outcome, answer.replayed)
    assert answer.alert == await stored(alert_database)
    (event,) = await events_of(alert_database)
    assert (EventType.RAISED, answer.alert, "orchestrator", at(0), clock.now()) == (
        event.type,
        event.alert,
        event.actor,
        event.occur_time,
        event.record_time,
    )
    assert "00-trace-span-01" == event.traceparent


async def test_a_raise_of_what_stands_is_a_touch_without_an_event(
    ledger: Ledger, alert_database: Database
) -> None:
    first = of(await ledger.submit(raising(failure(0, message="first"))))
    await acknowledge(ledger, first)

    answer = await ledger.submit(raising(failure(5, message="second")))

    alert = await stored(alert_database)
    assert RaiseOutcome.TOUCHED == answer.outcome
    assert alert == answer.alert
    assert (first.alert_id, 2, at(5), "second", 3, Status.ACKNOWLEDGED) == (
        alert.alert_id,
        alert.occurrences,
        alert.last_seen_time,
        alert.message,
        alert.version,
        alert.status,
    )
    assert [EventType.RAISED, EventType.ACKNOWLEDGED] == kinds(await events_of(alert_database))


async def test_what_gets_worse_is_touched_with_events_and_breaks_an_acknowledgement_first(
    ledger: Ledger, alert_database: Database
) -> None:
    await acknowledge(ledger, of(await ledger.submit(raising(failure(0, cause="locked")))))

    answer = await ledger.submit(
        raising(failure(1, severity=Severity.CRITICAL, cause="wrong_password"))
    )

    events = await events_of(alert_database)
    assert RaiseOutcome.TOUCHED == answer.outcome
    assert [
        EventType.RAISED,
        EventType.ACKNOWLEDGED,
        EventType.UNACKNOWLEDGED,
        EventType.SEVERITY_CHANGED,
        EventType.CAUSE_CHANGED,
    ] == kinds(events)
    assert [1, 2, 3, 4, 5] == [event.alert.version for event in events]
    assert events[-1].alert == answer.alert == await stored(alert_database)


async def test_a_late_failure_does_not_reopen_a_healed_alert(
    ledger: Ledger, alert_database: Database
) -> None:
    await ledger.submit(raising(failure(0)))
    healed = of(await ledger.submit(clearing(success(4))))

    answer = await ledger.submit(raising(failure(3)))

    assert RaiseAnswer(healed, RaiseOutcome.STALE) == answer
    assert healed == await stored(alert_database)
    assert [EventType.RAISED, EventType.RESOLVED] == kinds(await events_of(alert_database))


@pytest.mark.parametrize("minutes", [4, 5], ids=["before", "tie"])
async def test_a_late_success_does_not_close_a_newer_failure(
    ledger: Ledger, alert_database: Database, minutes: float
) -> None:
    newer = of(await ledger.submit(raising(failure(5))))

    answer = await ledger.submit(clearing(success(minutes)))

    assert ClearAnswer(newer, ClearOutcome.STALE) == answer
    assert newer == await stored(alert_database)


async def test_on_a_tie_with_the_last_clear_the_failure_wins(ledger: Ledger) -> None:
    await ledger.submit(clearing(success(4)))

    assert RaiseOutcome.RAISED == (await ledger.submit(raising(failure(4)))).outcome


async def test_a_clear_with_nothing_open_is_remembered_by_the_key_which_outlives_the_alert(
    ledger: Ledger, alert_database: Database
) -> None:
    answer = await ledger.submit(clearing(success(4)))

    assert ClearAnswer(None, ClearOutcome.NOTHING_OPEN) == answer
    assert RaiseAnswer(None, RaiseOutcome.STALE) == await ledger.submit(raising(failure(3)))
    assert [] == await events_of(alert_database)
    assert [] == await alerts_of(alert_database)


async def test_after_a_resolve_by_hand_a_newer_failure_from_a_slow_clock_still_rings(
    ledger: Ledger, clock: ManualClock
) -> None:
    first = of(await ledger.submit(raising(failure(0))))
    clock.advance(timedelta(hours=2))
    await ledger.submit(Resolve(first.alert_id, "fixed", BOB))

    stale = await ledger.submit(raising(failure(-1)))
    rings = await ledger.submit(raising(failure(1)))

    assert RaiseOutcome.STALE == stale.outcome
    assert RaiseOutcome.RAISED == rings.outcome
    assert first.alert_id == of(rings).previous_alert_id


@pytest.mark.parametrize("acknowledged", [False, True], ids=["open", "acknowledged"])
async def test_a_clear_of_what_stands_resolves_it_with_an_event(
    ledger: Ledger, alert_database: Database, acknowledged: bool
) -> None:
    alert = of(await ledger.submit(raising(failure(0))))
    if acknowledged:
        alert = of(await acknowledge(ledger, alert))

    answer = await ledger.submit(clearing(success(10, message="backup ok")))

    resolved = await stored(alert_database)
    assert ClearAnswer(resolved, ClearOutcome.RESOLVED) == answer
    assert resolved.resolution is not None
    assert (at(10), "orchestrator", ResolveReason.AUTO) == (
        resolved.resolution.time,
        resolved.resolution.actor,
        resolved.resolution.reason,
    )
    assert alert.acknowledgement == resolved.acknowledgement
    event = (await events_of(alert_database))[-1]
    assert (EventType.RESOLVED, resolved, "backup ok", at(10)) == (
        event.type,
        event.alert,
        event.note,
        event.occur_time,
    )


async def test_two_source_groups_failing_on_one_host_are_two_alerts(
    ledger: Ledger, alert_database: Database
) -> None:
    other = Key(KEY.host_id, KEY.kind, "group-2")
    await ledger.submit(raising(failure(0)))
    await ledger.submit(raising(failure(0, key=other)))

    await ledger.submit(clearing(success(5)))

    assert {KEY: Status.RESOLVED, other: Status.OPEN} == {
        alert.key: alert.status for alert in await alerts_of(alert_database)
    }


async def test_the_same_request_again_gets_the_first_answer_as_it_was(
    ledger: Ledger, alert_database: Database
) -> None:
    once = raising(failure(0, labels={"a": "ü"}), request("r-1"))
    first = await ledger.submit(once)
    await ledger.submit(raising(failure(1)))

    again = await ledger.submit(once)

    assert RaiseAnswer(first.alert, RaiseOutcome.RAISED, replayed=True) == again
    assert 2 == (await stored(alert_database)).occurrences


async def test_a_repeated_clear_is_replayed_after_the_key_has_failed_anew(ledger: Ledger) -> None:
    await ledger.submit(raising(failure(0)))
    once = clearing(success(1), request("r-1"))
    first = await ledger.submit(once)
    newer = await ledger.submit(raising(failure(1)))

    again = await ledger.submit(once)

    assert ClearAnswer(first.alert, ClearOutcome.RESOLVED, replayed=True) == again
    assert RaiseOutcome.RAISED == newer.outcome


async def test_a_repeated_act_of_a_person_gets_the_first_answer_changed_included(
    ledger: Ledger,
) -> None:
    alert = of(await ledger.submit(raising(failure(0))))
    taken = Acknowledge(alert.alert_id, "mine", at(600), ANN, request("r-1"))
    closed = Resolve(alert.alert_id, "done", ANN, request("r-2"))

    first, then = await ledger.submit(taken), await ledger.submit(closed)

    assert (True, True) == (first.changed, then.changed)
    assert first == await ledger.submit(taken)
    assert then == await ledger.submit(closed)


async def test_a_request_id_with_other_content_is_refused_and_changes_nothing(
    ledger: Ledger, alert_database: Database
) -> None:
    await ledger.submit(raising(failure(0), request("r-1", "one thing")))

    with pytest.raises(InvalidArgumentError) as refusal:
        await ledger.submit(raising(failure(1), request("r-1", "another")))

    assert "REQUEST_ID_REUSED" == refusal.value.reason
    assert 1 == (await stored(alert_database)).occurrences


async def test_a_request_id_is_remembered_for_24_hours_and_is_new_thereafter(
    ledger: Ledger, alert_database: Database, clock: ManualClock
) -> None:
    await ledger.submit(raising(failure(0), request("r-1", "one thing")))

    clock.advance(timedelta(hours=24))
    same = await ledger.submit(raising(failure(0), request("r-1", "one thing")))
    clock.advance(timedelta(microseconds=1))
    new = await ledger.submit(raising(failure(1), request("r-1", "another")))
    again = await ledger.submit(raising(failure(1), request("r-1", "another")))

    assert [True, False, True] == [same.replayed, new.replayed, again.replayed]
    assert RaiseOutcome.TOUCHED == new.outcome
    assert 2 == (await stored(alert_database)).occurrences


async def test_a_request_that_was_refused_is_not_remembered(
    ledger: Ledger, alert_database: Database
) -> None:
    unknown = Resolve(uuid7(), "", ANN, request("r-1"))

    for _ in range(2):
        with pytest.raises(NotFoundError):
            await ledger.submit(unknown)

    assert 0 == await count_rows(alert_database, "requests")


async def test_to_acknowledge_twice_is_fine_and_the_first_actor_stays(
    ledger: Ledger, alert_database: Database, clock: ManualClock
) -> None:
    alert = of(await ledger.submit(raising(failure(0))))

    first = await acknowledge(ledger, alert)
    second = await ledger.submit(Acknowledge(alert.alert_id, "me too", at(9999), BOB))

    assert (True, False) == (first.changed, second.changed)
    assert first.alert == second.alert == await stored(alert_database)
    assert Acknowledgement(clock.now(), "ann", "on it", at(24 * 60)) == first.alert.acknowledgement
    event = (await events_of(alert_database))[-1]
    assert (EventType.ACKNOWLEDGED, "ann", "the night shift", "on it") == (
        event.type,
        event.actor,
        event.on_behalf_of,
        event.note,
    )


async def test_to_resolve_twice_is_fine_and_the_first_actor_stays(
    ledger: Ledger, alert_database: Database, clock: ManualClock
) -> None:
    alert = of(await acknowledge(ledger, of(await ledger.submit(raising(failure(0))))))
    clock.advance(seconds=60)

    first = await ledger.submit(Resolve(alert.alert_id, "fixed", ANN))
    second = await ledger.submit(Resolve(alert.alert_id, "no, me", BOB))

    assert (True, False) == (first.changed, second.changed)
    assert first.alert == second.alert == await stored(alert_database)
    assert first.alert.resolution is not None
    assert (clock.now(), "ann", ResolveReason.MANUAL) == (
        first.alert.resolution.time,
        first.alert.resolution.actor,
        first.alert.resolution.reason,
    )
    assert alert.acknowledgement == first.alert.acknowledgement
    assert [EventType.RAISED, EventType.ACKNOWLEDGED, EventType.RESOLVED] == kinds(
        await events_of(alert_database)
    )


async def test_an_alert_resolved_long_ago_is_answered_as_it_is_beside_a_newer_one(
    ledger: Ledger, alert_database: Database
) -> None:
    await ledger.submit(raising(failure(0)))
    old = of(await ledger.submit(clearing(success(1))))
    newer = of(await ledger.submit(raising(failure(2))))

    answer = await ledger.submit(Resolve(old.alert_id, "", BOB))
    with pytest.raises(FailedPreconditionError):
        await acknowledge(ledger, old)

    assert ChangeAnswer(old, changed=False) == answer
    assert [old, newer] == await alerts_of(alert_database)


async def test_to_acknowledge_a_resolved_alert_is_refused(ledger: Ledger) -> None:
    await ledger.submit(raising(failure(0)))
    alert = of(await ledger.submit(clearing(success(1))))

    with pytest.raises(FailedPreconditionError) as refusal:
        await acknowledge(ledger, alert)

    assert "ALERT_RESOLVED" == refusal.value.reason


@pytest.mark.parametrize("command", ["acknowledge", "resolve", "lapse"])
async def test_an_unknown_alert_is_not_found_and_the_error_names_it(
    ledger: Ledger, command: str
) -> None:
    unknown = uuid7()
    acts: dict[str, Acknowledge | Resolve | Lapse] = {
        "acknowledge": Acknowledge(unknown, "", at(60), ANN),
        "resolve": Resolve(unknown, "", ANN),
        "lapse": Lapse(unknown),
    }

    with pytest.raises(NotFoundError) as refusal:
        await ledger.submit(acts[command])

    assert "ALERT_NOT_FOUND" == refusal.value.reason
    assert str(unknown) in refusal.value.message


async def test_an_acknowledgement_past_its_time_lapses_once(
    ledger: Ledger, alert_database: Database, clock: ManualClock
) -> None:
    alert = of(await ledger.submit(raising(failure(0))))
    await acknowledge(ledger, alert, until=60)

    early = await ledger.submit(Lapse(alert.alert_id))
    clock.set(at(61))
    first = await ledger.submit(Lapse(alert.alert_id))
    second = await ledger.submit(Lapse(alert.alert_id))

    assert [False, True, False] == [early.changed, first.changed, second.changed]
    assert Status.OPEN == (await stored(alert_database)).status
    event = (await events_of(alert_database))[-1]
    assert (EventType.UNACKNOWLEDGED, "tocsin-alert", at(60), at(61)) == (
        event.type,
        event.actor,
        event.occur_time,
        event.record_time,
    )


async def test_the_host_has_its_name_from_the_registry_and_else_its_id(
    ledger: Ledger, alert_database: Database
) -> None:
    unnamed = of(await ledger.submit(raising(failure(0))))
    await _name_host(alert_database, "")
    nameless = of(await ledger.submit(raising(failure(1))))
    await _name_host(alert_database, "Alpha")
    named = of(await ledger.submit(raising(failure(2))))
    await _name_host(alert_database, "Beta")
    resolved = of(await ledger.submit(Resolve(named.alert_id, "", ANN)))

    assert ["host-a", "host-a", "Alpha", "Beta"] == [
        alert.host_name for alert in (unnamed, nameless, named, resolved)
    ]
    assert "Beta" == (await stored(alert_database)).host_name


async def _name_host(database: Database, name: str) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO hosts VALUES ($1, $2, '{}', now(), now())"
            " ON CONFLICT (host_id) DO UPDATE SET name = excluded.name",
            KEY.host_id,
            name,
        )


async def test_times_at_both_ends_of_the_calendar_are_kept(
    ledger: Ledger, alert_database: Database
) -> None:
    earliest = observed_at(datetime.min.replace(tzinfo=UTC), at(0))
    latest = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)

    raised = of(await ledger.submit(raising(Failure(KEY, earliest, Severity.INFO))))
    resolved = of(await ledger.submit(clearing(Success(KEY, latest))))

    assert earliest == raised.raise_time
    assert resolved.resolution is not None
    assert latest == resolved.resolution.time
    assert resolved == await stored(alert_database)
