"""Decisions that no delivery shows: holds, and events that were addressed to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    import asyncpg

    from tocsin.notify.domain.decision import KeptDecision

_ADD = """
INSERT INTO decisions (time, event_id, alert_id, channel_id, delivery_id, reason, by_id, until_time)
SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[],
                     $6::smallint[], $7::uuid[], $8::timestamptz[])
"""


async def add(connection: asyncpg.Connection, decisions: Collection[KeptDecision]) -> None:
    """Keep decisions, in this order."""
    if not decisions:
        return
    rows = [
        (
            each.time,
            each.event_id,
            each.alert_id,
            each.channel_id,
            each.delivery_id,
            each.reason.value,
            each.by,
            each.until,
        )
        for each in decisions
    ]
    await connection.execute(_ADD, *map(list, zip(*rows, strict=True)))
