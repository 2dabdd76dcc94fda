"""The lane takes on what it can answer in time, and refuses the rest at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.ledgers import new_ledger, raising
from support.observed import failure
from support.waiting import eventually
from tocsin.alert.domain.key import Key
from tocsin.common.errors import ResourceExhaustedError

if TYPE_CHECKING:
    from tocsin.alert.ledger.commands import RaiseOrTouch
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

_HOLD = "INSERT INTO alert_keys (host_id, kind, dedup_key) VALUES ('host-1', 'backup_failed', '')"
_WAITING = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def raises(number: int) -> RaiseOrTouch:
    return raising(failure(0, key=Key(f"host-{number}", "backup_failed", "")))


async def test_what_would_wait_too_long_is_refused_while_the_lane_gets_on(
    alert_database: Database,
) -> None:
    async def waits_for_a_lock() -> bool:
        async with alert_database.connection() as connection:
            return bool(await connection.fetchval(_WAITING))

    seconds = 0.0
    ledger = new_ledger(alert_database, max_batch=1, monotonic=lambda: seconds)
    first = asyncio.ensure_future(ledger.submit_many([raises(0), raises(1), raises(2)]))
    await asyncio.wait({first}, timeout=0)

    seconds = 0.4
    async with alert_database.transaction() as holder:
        await holder.execute(_HOLD)
        await ledger.start()  # it writes the first, and is at work on the second since 0.4 s
        await eventually(waits_for_a_lock)
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
