"""Writes what was decided about deliveries that are not sent now: holds and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.notify.delivery import statements
from tocsin.notify.delivery.telling import ENDS
from tocsin.notify.domain.decision import DecisionReason, KeptDecision
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.store import decisions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg

    from tocsin.notify.domain.decision import End, Hold
    from tocsin.notify.domain.telling import Case


async def hold(
    connection: asyncpg.Connection, held: Sequence[tuple[Case, Hold]], now: datetime
) -> None:
    """Hold deliveries. It is kept as a decision when it is held for another reason than before."""
    if not held:
        return
    rows = [(case.delivery_id, hold.reason.value, hold.by, hold.until) for case, hold in held]
    await connection.execute(statements.HOLD, *map(list, zip(*rows, strict=True)))
    changed = [
        _kept(case, hold, now)
        for case, hold in held
        if (case.reason, case.held_by) != (hold.reason, hold.by)
    ]
    await decisions.add(connection, changed)


async def end(
    connection: asyncpg.Connection, ended: Sequence[tuple[Case, End]], now: datetime
) -> None:
    """End deliveries that are not told."""
    if not ended:
        return
    rows = [
        (case.delivery_id, _state(end).value, end.reason.value, ENDS[end.reason])
        for case, end in ended
    ]
    await connection.execute(statements.END, *map(list, zip(*rows, strict=True)), now)


def _state(end: End) -> DeliveryState:
    is_late = end.reason is DecisionReason.TOO_LATE
    return DeliveryState.EXPIRED if is_late else DeliveryState.SUPPRESSED


def _kept(case: Case, hold: Hold, now: datetime) -> KeptDecision:
    return KeptDecision(
        time=now,
        event_id=case.notification.event_id,
        alert_id=case.telling.alert_id,
        channel_id=case.telling.channel_id,
        delivery_id=case.delivery_id,
        reason=hold.reason,
        by=hold.by,
        until=hold.until,
    )
