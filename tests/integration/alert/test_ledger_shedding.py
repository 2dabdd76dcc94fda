"""The lane takes on what it can answer in time, and refuses the rest at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support.alert import running_alert
from support.ledgers import new_ledger, raising
from support.locks import held, waits_for_a_lock
from support.observed import failure
from support.refusals import Refusal, refusal_of
from support.waiting import eventually
from tocsin.alert.domain.key import Key
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from tocsin.alert.ledger.commands import RaiseOrTouch
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres


def raises(number: int) -> RaiseOrTouch:
    return raising(failure(0, key=Key(f"host-{number}", "backup_failed", "")))


async def test_what_would_wait_too_long_is_refused_while_the_lane_gets_on(
    alert_database: Database,
) -> None:
    seconds = 0.0
    ledger = new_ledger(alert_database, max_batch=1, monotonic=lambda: seconds)
    first = asyncio.ensure_future(ledger.submit_many([raises(0), raises(1), raises(2)]))
    await asyncio.wait({first}, timeout=0)

    seconds = 0.4
    async with held(alert_database, raises(1).key):
        await ledger.start()  # it writes the first, and is at work on the second since 0.4 s
        await waits_for_a_lock(alert_database)
        seconds = 0.6
        with pytest.raises(ResourceExhaustedError) as refusal:
            await ledger.submit(raises(3))
        refused_by_then = ledger.waiting
        seconds = 2.0  # by now it is the database that does not get on
        late = asyncio.ensure_future(ledger.submit(raises(4)))
        await asyncio.wait({late}, timeout=0)
        taken_on_by_then = ledger.waiting
    await asyncio.gather(first, late)
    await ledger.stop()

    assert "OVERLOADED" == refusal.value.reason
    assert refusal.value.retry_after is not None
    assert (1, 2) == (refused_by_then, taken_on_by_then)


async def test_a_batch_that_is_refused_is_not_read_before(
    alert_url: str, alert_database: Database
) -> None:
    """What it holds is no request, which nobody finds out while there is no room for it."""
    few, full = batch_of(1), batch_of(100)
    async with running_alert(alert_url, max_queue=100) as alert:
        raw: Any = alert.channel.unary_unary("/tocsin.api.alert.v1.AlertService/BatchRaiseOrTouch")
        async with held(alert_database, raises(1).key._replace(dedup_key="0")):
            at_work = alert.alerts.BatchRaiseOrTouch(few)
            await waits_for_a_lock(alert_database)
            waiting = alert.alerts.BatchRaiseOrTouch(full)
            refusal = await eventually(lambda: refused(raw, "OVERLOADED"))
        await at_work
        answer = await waiting
        with_room = await refusal_of(raw(b"\xff"))

    assert refusal is not None
    assert refusal.retry_after is not None
    assert 100 == len(answer.results)
    assert "INVALID_FIELD" == with_room.reason


def batch_of(count: int) -> pb.BatchRaiseOrTouchRequest:
    keys = (raises(1).key._replace(dedup_key=str(number)) for number in range(count))
    return pb.BatchRaiseOrTouchRequest(
        requests=[pb.RaiseOrTouchRequest(**key._asdict()) for key in keys]
    )


async def refused(call: Any, reason: str) -> Refusal | None:
    refusal = await refusal_of(call(b"\xff"))
    return refusal if refusal.reason == reason else None
