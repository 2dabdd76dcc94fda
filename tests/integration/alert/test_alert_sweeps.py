from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.ledgers import alerts_of, count_rows, events_of, raising, request, running_ledger
from support.observed import ANN, BOB, KEY, at, failure
from tocsin.alert.domain.alert import Status
from tocsin.alert.domain.event import EventType
from tocsin.alert.domain.key import Key
from tocsin.alert.ledger.commands import Acknowledge
from tocsin.alert.sweep import acknowledgements, requests
from tocsin.alert.sweep.acknowledgements import AcknowledgementSweep
from tocsin.alert.sweep.requests import RequestSweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from tocsin.alert.ledger import Ledger
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres


@pytest.fixture
async def ledger(alert_database: Database, clock: ManualClock) -> AsyncIterator[Ledger]:
    async with running_ledger(alert_database, clock=clock) as running:
        yield running


async def acknowledge(ledger: Ledger, key: Key, until: float) -> None:
    alert = (await ledger.submit(raising(failure(0, key=key)))).alert
    assert alert is not None
    await ledger.submit(Acknowledge(alert.alert_id, "", at(until), ANN))


async def statuses(database: Database) -> dict[str, Status]:
    return {alert.key.host_id: alert.status for alert in await alerts_of(database)}


async def test_acknowledgements_past_their_time_are_open_again(
    alert_database: Database, ledger: Ledger, clock: ManualClock
) -> None:
    sweep = AcknowledgementSweep(alert_database, ledger, clock)
    await acknowledge(ledger, Key("early", "backup_failed", ""), until=60)
    await acknowledge(ledger, Key("late", "backup_failed", ""), until=61)

    clock.set(at(60))
    rest = await sweep.step()

    assert acknowledgements.REST == rest
    assert {"early": Status.OPEN, "late": Status.ACKNOWLEDGED} == await statuses(alert_database)
    event = (await events_of(alert_database))[-1]
    assert (EventType.UNACKNOWLEDGED, "tocsin-alert", at(60)) == (
        event.type,
        event.actor,
        event.occur_time,
    )


async def test_two_sweeps_at_once_end_an_acknowledgement_once(
    alert_database: Database, ledger: Ledger, clock: ManualClock
) -> None:
    await acknowledge(ledger, KEY, until=60)
    clock.set(at(60))
    sweep = AcknowledgementSweep(alert_database, ledger, clock)

    await sweep.step()
    await sweep.step()

    assert 3 == len(await events_of(alert_database))


async def test_who_acknowledges_anew_before_the_sweep_stays(
    alert_database: Database, ledger: Ledger, clock: ManualClock
) -> None:
    await acknowledge(ledger, KEY, until=60)
    clock.set(at(60))
    (alert,) = await alerts_of(alert_database)
    await ledger.submit(Acknowledge(alert.alert_id, "", at(120), BOB))

    await AcknowledgementSweep(alert_database, ledger, clock).step()

    (alert,) = await alerts_of(alert_database)
    assert alert.acknowledgement is not None
    assert "bob" == alert.acknowledgement.actor


async def test_a_full_batch_of_expired_acknowledgements_is_followed_at_once(
    alert_database: Database,
    ledger: Ledger,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acknowledgements, "_BATCH", 2)
    for number in range(3):
        await acknowledge(ledger, Key(f"host-{number}", "backup_failed", ""), until=60)
    clock.set(at(60))
    sweep = AcknowledgementSweep(alert_database, ledger, clock)

    assert [timedelta(), acknowledgements.REST] == [await sweep.step(), await sweep.step()]
    assert {Status.OPEN} == set((await statuses(alert_database)).values())


async def test_answers_older_than_24_hours_are_purged_in_batches(
    alert_database: Database,
    ledger: Ledger,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "_BATCH", 2)
    for number in range(3):
        await ledger.submit(raising(failure(0), request(f"old-{number}")))
    clock.advance(timedelta(hours=24, microseconds=1))
    await ledger.submit(raising(failure(0), request("new")))
    sweep = RequestSweep(alert_database, clock)

    assert [requests.BREATH, requests.REST] == [await sweep.step(), await sweep.step()]
    assert 1 == await count_rows(alert_database, "requests")
    assert (await ledger.submit(raising(failure(0), request("new")))).replayed
