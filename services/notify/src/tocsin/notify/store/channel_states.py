"""Bucket and breaker of each channel. The row is also the lock of all claims for the channel.

Each function is a part of the caller's transaction, on its asyncpg connection. The lock comes
before those on tellings and deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.domain.health import Breaker, BreakerState, Bucket

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

_LOCK = "SELECT * FROM channel_states WHERE channel_id = $1 FOR UPDATE"

_ENSURE = "INSERT INTO channel_states (channel_id) VALUES ($1) ON CONFLICT DO NOTHING"

_ENSURE_OF_CHANNEL = """
INSERT INTO channel_states (channel_id) SELECT channel_id FROM channels WHERE channel_id = $1
ON CONFLICT DO NOTHING
"""

_SAVE_BUCKET = """
UPDATE channel_states SET tokens = $2, tokens_time = $3 WHERE channel_id = $1
"""

_SAVE_BREAKER = """
UPDATE channel_states
   SET breaker = $2, failure_count = $3, since_time = $4, probe_time = $5, failing_since = $6,
       last_error = $7, last_error_time = $8, last_success_time = $9
 WHERE channel_id = $1
"""


@dataclass(frozen=True, slots=True)
class ChannelStateRow:
    """How one channel stands."""

    breaker: Breaker
    bucket: Bucket


async def lock(connection: asyncpg.Connection, channel_id: UUID) -> ChannelStateRow:
    """Lock the state of a channel until the end of the transaction, and return it.

    One that is not there yet is made: the breaker closed, the bucket full.
    """
    row = await connection.fetchrow(_LOCK, channel_id)
    if row is None:
        await connection.execute(_ENSURE, channel_id)
        row = await connection.fetchrow(_LOCK, channel_id)
    return state_of(row)


async def ensure(connection: asyncpg.Connection, channel_id: UUID) -> None:
    """Make the state of a channel that is there and has none: breaker closed, bucket full."""
    await connection.execute(_ENSURE_OF_CHANNEL, channel_id)


def state_of(row: asyncpg.Record) -> ChannelStateRow:
    """Return the state in a row that has all columns of channel_states."""
    return ChannelStateRow(breaker_of(row), Bucket(row["tokens"], row["tokens_time"]))


async def save_bucket(connection: asyncpg.Connection, channel_id: UUID, bucket: Bucket) -> None:
    """Write the bucket of a channel whose state is locked."""
    await connection.execute(_SAVE_BUCKET, channel_id, bucket.tokens, bucket.as_of)


async def save_breaker(connection: asyncpg.Connection, channel_id: UUID, breaker: Breaker) -> None:
    """Write the breaker of a channel whose state is locked."""
    await connection.execute(
        _SAVE_BREAKER,
        channel_id,
        breaker.state.value,
        breaker.failure_count,
        breaker.since_time,
        breaker.probe_time,
        breaker.failing_since,
        breaker.last_error,
        breaker.last_error_time,
        breaker.last_success_time,
    )


def breaker_of(row: asyncpg.Record) -> Breaker:
    """Return the breaker of a row of channel_states."""
    return Breaker(
        state=BreakerState(row["breaker"]),
        failure_count=row["failure_count"],
        since_time=row["since_time"],
        probe_time=row["probe_time"],
        failing_since=row["failing_since"],
        last_error=row["last_error"],
        last_error_time=row["last_error_time"],
        last_success_time=row["last_success_time"],
    )
