"""Settling: what became of attempts is written, many of them in one statement.

Attempts that end while a statement is on its way are settled together by the next one, so that a
commit is shared by as many as there are, and nobody waits for others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg

from tocsin.common.errors import TocsinError
from tocsin.notify.delivery import settle_statements
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.store.columns import columns_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from tocsin.common.postgres.engine import Database
    from tocsin.notify.delivery.retry import Verdict
    from tocsin.notify.domain.delivery import Receipt

_AT_ONCE = 200
_TRIES = 5
_LONGEST_DETAIL = 1024


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt met and what becomes of its delivery, if `token` still holds it.

    `receipt` is None for what was not begun.
    """

    delivery_id: UUID
    token: UUID
    receipt: Receipt | None
    verdict: Verdict
    now: datetime

    @property
    def is_delivered(self) -> bool:
        """Whether the far side has it."""
        return self.verdict.state is DeliveryState.DELIVERED

    def delivered_columns(self) -> tuple[Any, ...]:
        """Return the values for SETTLE_DELIVERED, in its order."""
        return (
            self.delivery_id,
            self.token,
            self.verdict.retry_count,
            0 if self.receipt is None else self.receipt.status_code,
            "" if self.receipt is None else storable(self.receipt.detail),
            self.now,
        )

    def columns(self) -> tuple[Any, ...]:
        """Return the values for SETTLE, in its order."""
        verdict, receipt = self.verdict, self.receipt
        return (
            self.delivery_id,
            self.token,
            verdict.state.value,
            verdict.reason.value,
            storable(verdict.detail),
            verdict.retry_count,
            verdict.next_attempt_time,
            verdict.maybe_told,
            None if verdict.state is DeliveryState.PENDING else self.now,
            None if receipt is None else receipt.outcome.value,
            0 if receipt is None else receipt.status_code,
            "" if receipt is None else storable(receipt.detail),
            self.now,
        )


async def settle_all(
    connection: asyncpg.Connection, settlements: Sequence[Settlement], held: set[UUID]
) -> None:
    """Write what became of deliveries; add the tokens of those that were still held to `held`.

    When it fails, `held` has those that are written. Call it outside of any transaction: newer
    news of one of the alerts, or another replica, may come in between, and then all is written
    again.
    """
    delivered = [each.delivered_columns() for each in settlements if each.is_delivered]
    if delivered:
        held |= await _insist(partial(_settle_delivered, connection, columns_of(delivered, 6)))
    # Digests are among these, and what is not held any more.
    others = [each.columns() for each in settlements if each.token not in held]
    if others:
        held |= await _insist(partial(_settle, connection, columns_of(others, 13)))
    back = [each for each in settlements if each.receipt is None and each.token in held]
    if back:
        ids, now = [each.delivery_id for each in back], max(each.now for each in back)
        await connection.execute(settle_statements.REFUND, ids, now)


async def _insist(settle: Callable[[], Awaitable[set[UUID]]]) -> set[UUID]:
    for _ in range(_TRIES - 1):
        try:
            return await settle()
        except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
            continue
    return await settle()


async def _settle_delivered(
    connection: asyncpg.Connection, columns: Sequence[list[Any]]
) -> set[UUID]:
    return set(await connection.fetchval(settle_statements.SETTLE_DELIVERED, *columns))


async def _settle(connection: asyncpg.Connection, columns: Sequence[list[Any]]) -> set[UUID]:
    return {row["token"] for row in await connection.fetch(settle_statements.SETTLE, *columns)}


_Waiting = tuple[Settlement, "asyncio.Future[bool]"]


class Settlements:
    """Writes settlements in the order in which they come, as many at once as are waiting."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    def put(self, settlement: Settlement) -> asyncio.Future[bool]:
        """Have one written; the future says whether the delivery was still held by its token.

        It is written even when nobody waits for the end. The future raises UnavailableError or
        ResourceExhaustedError, as the database does.
        """
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="settlements")
        return written

    async def settle(self, settlement: Settlement) -> bool:
        """Write one; return whether the delivery was still held by its token."""
        return await self.put(settlement)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            await self._write_batch(batch)

    async def _write_batch(self, batch: list[_Waiting]) -> None:
        held: set[UUID] = set()
        try:
            async with self._database.connection() as connection:
                await settle_all(connection, [settlement for settlement, _ in batch], held)
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            _tell([each for each in batch if each[0].token in held], held)
            unwritten = [each for each in batch if each[0].token not in held]
            if len(batch) > 1 and not isinstance(error, TocsinError):
                for each in unwritten:  # one is refused: the others shall not suffer for it
                    await self._write_batch([each])
                return
            for _, written in unwritten:
                if not written.done():
                    written.set_exception(error)
        else:
            _tell(batch, held)


def _tell(batch: Sequence[_Waiting], held: Collection[UUID]) -> None:
    for settlement, written in batch:
        if not written.done():
            written.set_result(settlement.token in held)


def storable(text: str) -> str:
    """Return a text as PostgreSQL takes it: a far side's words may hold anything.

    A settle that failed for them would send the same delivery again and again.
    """
    cleaned = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return cleaned.encode("utf-8", "replace").decode()[:_LONGEST_DETAIL]
