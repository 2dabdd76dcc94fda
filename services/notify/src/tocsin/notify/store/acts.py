"""What people change of the steering, written down in the transaction that changes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.common.identity.audit import Act, record
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg


async def write_down(
    connection: AsyncConnection | asyncpg.Connection,
    act: Act | None,
    now: datetime,
    *,
    subject: object = None,
    **details: object,
) -> None:
    """Write down who did what, and to what, if to one thing; nothing when `act` is None.

    `details` are added to those of the act, but for those that are empty.
    """
    if act is None:
        return
    if isinstance(connection, AsyncConnection):
        raw = await connection.get_raw_connection()
        connection = cast("asyncpg.Connection", raw.driver_connection)
    told = {**act.details, **{name: str(value) for name, value in details.items()}}
    told = {name: value for name, value in told.items() if value}
    await record(connection, [replace(act, subject=str(subject or ""), details=told)], now, uuid7)
