"""Reads all that is known of how an alert was told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.common.errors import NotFoundError
from tocsin.notify.domain.decision import DecisionReason, KeptDecision
from tocsin.notify.domain.delivery import Attempt, AttemptOutcome, Delivery, DeliveryState
from tocsin.notify.domain.explanation import History, Standing, TakenEvent
from tocsin.notify.domain.notice import message_type
from tocsin.notify.domain.own import KIND_CHANNEL_FAILING, OWN_HOST
from tocsin.notify.store.channel_states import breaker_of
from tocsin.notify.store.inbox import read_caught_up

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    import asyncpg

    from tocsin.common.postgres.engine import Database

MOST = 1_000
"""How many deliveries, events, decisions and attempts are looked at, the last of each."""

# Every event was addressed to somebody, or a decision says why not.
_EVENTS = """
SELECT event_id, type, receive_time,
       CASE WHEN document -> 'alert' ->> 'host_id' = $3 AND document -> 'alert' ->> 'kind' = $4
            THEN document -> 'alert' ->> 'dedup_key' ELSE '' END AS failing_channel
  FROM inbox_events
 WHERE event_id IN (SELECT event_id FROM deliveries WHERE alert_id = $1
                    UNION SELECT event_id FROM decisions WHERE alert_id = $1)
 ORDER BY sequence DESC LIMIT $2
"""

_DELIVERIES = """
SELECT d.*, c.display_name, i.type, i.epoch, i.revision, i.synthetic
  FROM deliveries d
  JOIN channels c ON c.channel_id = d.channel_id
  JOIN inbox_events i ON i.event_id = d.event_id
 WHERE d.alert_id = $1 AND ($3::uuid IS NULL OR d.channel_id = $3)
 ORDER BY d.sequence DESC, d.delivery_id DESC LIMIT $2
"""

_DECISIONS = """
SELECT * FROM decisions
 WHERE alert_id = $1 AND ($3::uuid IS NULL OR channel_id IS NULL OR channel_id = $3)
 ORDER BY decision_id DESC LIMIT $2
"""

_ATTEMPTS = """
SELECT * FROM attempts WHERE delivery_id = ANY($1::uuid[])
 ORDER BY start_time DESC, number DESC LIMIT $2
"""

_CHANNELS = """
SELECT c.channel_id, c.display_name, c.enabled, c.delete_time IS NOT NULL AS deleted,
       c.create_time, t.maybe_told, s.breaker, s.failure_count, s.since_time, s.probe_time,
       s.failing_since, s.last_error, s.last_error_time, s.last_success_time, s.tokens_time
  FROM channels c
  LEFT JOIN tellings t ON t.channel_id = c.channel_id AND t.alert_id = $1
  LEFT JOIN channel_states s ON s.channel_id = c.channel_id
 WHERE ($2::uuid IS NULL OR c.channel_id = $2) AND (c.delete_time IS NULL OR t.alert_id IS NOT NULL)
 ORDER BY c.display_name, c.channel_id
"""

_ROUTES = "SELECT route_id, display_name FROM routes WHERE route_id = ANY($1::uuid[])"

_SILENCES = "SELECT silence_id, author, reason FROM silences WHERE silence_id = ANY($1::uuid[])"


class Explanations:
    """Reads the history of alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, alert_id: UUID, channel_id: UUID | None = None) -> History:
        """Return the history of an alert, for one channel or for all.

        Raises NotFoundError (ALERT_NOT_KNOWN, CHANNEL_NOT_FOUND), UnavailableError.
        """
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            history = await _read(connection, alert_id, channel_id)
        if not history.events:
            raise NotFoundError(
                f"Notify has heard of no alert {alert_id}.", reason="ALERT_NOT_KNOWN"
            )
        if channel_id is not None and not history.channels:
            raise NotFoundError(f"No channel {channel_id}.", reason="CHANNEL_NOT_FOUND")
        return history


async def _read(connection: asyncpg.Connection, alert_id: UUID, channel_id: UUID | None) -> History:
    own = (OWN_HOST, KIND_CHANNEL_FAILING)
    events = await connection.fetch(_EVENTS, alert_id, MOST, *own)
    deliveries = await connection.fetch(_DELIVERIES, alert_id, MOST, channel_id)
    decisions = await connection.fetch(_DECISIONS, alert_id, MOST, channel_id)
    ids = {row["delivery_id"] for row in deliveries} | _given(deliveries, "carried_by")
    attempts = await connection.fetch(_ATTEMPTS, list(ids), MOST)
    holders = _given(deliveries, "held_by") | _given(decisions, "by_id")
    channels = await connection.fetch(_CHANNELS, alert_id, channel_id)
    routes = await connection.fetch(_ROUTES, list(_given(deliveries, "route_id")))
    silences = await connection.fetch(_SILENCES, list(holders))
    return History(
        alert_id=alert_id,
        events=tuple(_event(row) for row in reversed(events)),
        deliveries=tuple(_delivery(row) for row in reversed(deliveries)),
        attempts=_by_delivery(attempts),
        decisions=tuple(_decision(row) for row in reversed(decisions)),
        channels={each.channel_id: each for each in map(_standing, channels)},
        routes={row["route_id"]: row["display_name"] for row in routes},
        silences={row["silence_id"]: f"{row['author']}: {row['reason']}" for row in silences},
        caught_up_time=await read_caught_up(connection),
        truncated=MOST in (len(events), len(deliveries), len(decisions), len(attempts)),
    )


def _given(rows: Iterable[asyncpg.Record], name: str) -> set[UUID]:
    return {row[name] for row in rows if row[name] is not None}


def _event(row: asyncpg.Record) -> TakenEvent:
    return TakenEvent(
        row["event_id"], message_type(row["type"]), row["receive_time"], row["failing_channel"]
    )


def _delivery(row: asyncpg.Record) -> Delivery:
    told_as = row["told_as"]
    return Delivery(
        delivery_id=row["delivery_id"],
        channel_id=row["channel_id"],
        channel_display_name=row["display_name"],
        event_id=row["event_id"],
        event_type=message_type(row["type"]),
        epoch=row["epoch"],
        revision=row["revision"],
        synthetic=row["synthetic"],
        alert_id=row["alert_id"],
        host_id="",
        kind="",
        dedup_key="",
        state=DeliveryState(row["state"]),
        state_reason=row["state_reason"],
        attempt_count=row["attempt_count"],
        next_attempt_time=row["next_attempt_time"],
        create_time=row["create_time"],
        settle_time=row["settle_time"],
        reason=DecisionReason(row["reason"]),
        route_id=row["route_id"],
        held_by=row["held_by"],
        told_as=None if told_as is None else message_type(told_as),
        collapsed_count=row["collapsed_count"],
        follows=row["follows"],
        carried_by=row["carried_by"],
    )


def _by_delivery(rows: Iterable[asyncpg.Record]) -> dict[UUID, tuple[Attempt, ...]]:
    """Return the attempts of each delivery in their order; `rows` have the last one first."""
    attempts: dict[UUID, tuple[Attempt, ...]] = {}
    for row in rows:
        attempt = Attempt(
            number=row["number"],
            start_time=row["start_time"],
            finish_time=row["finish_time"],
            outcome=None if row["outcome"] is None else AttemptOutcome(row["outcome"]),
            status_code=row["status_code"],
            detail=row["detail"],
        )
        attempts[row["delivery_id"]] = (attempt, *attempts.get(row["delivery_id"], ()))
    return attempts


def _decision(row: asyncpg.Record) -> KeptDecision:
    return KeptDecision(
        time=row["time"],
        event_id=row["event_id"],
        alert_id=row["alert_id"],
        channel_id=row["channel_id"],
        delivery_id=row["delivery_id"],
        reason=DecisionReason(row["reason"]),
        by=row["by_id"],
        until=row["until_time"],
    )


def _standing(row: asyncpg.Record) -> Standing:
    standing = Standing(
        channel_id=row["channel_id"],
        display_name=row["display_name"],
        enabled=row["enabled"],
        deleted=row["deleted"],
        create_time=row["create_time"],
        maybe_told=bool(row["maybe_told"]),
        paused_until=row["tokens_time"],
    )
    return standing if row["breaker"] is None else replace(standing, breaker=breaker_of(row))
