"""How things stand in the database: the follower, the canary, and every channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.common.telemetry.measures import Family
from tocsin.notify.domain.health import BreakerState, ChannelHealth
from tocsin.notify.store.standing import read_standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.common.telemetry.measures import Reading
    from tocsin.notify.store.channel_health import ChannelHealthStore

REVISION = Family(
    "tocsin_notify_follower_revision",
    "gauge",
    "The last revision of the event log that was taken in, by whichever replica. What is missing "
    "to tocsin_alert_log_head_revision is the lag.",
)
CAUGHT_UP = Family(
    "tocsin_notify_follower_caught_up_timestamp_seconds",
    "gauge",
    "When all that tocsin-alert had committed was last known here. It is renewed every 10 seconds "
    "while all is well.",
)
CANARY = Family(
    "tocsin_notify_canary_arrive_timestamp_seconds",
    "gauge",
    "When a canary last came through. Not there until one has.",
)
WAITING = Family(
    "tocsin_notify_channel_waiting_deliveries",
    "gauge",
    "Deliveries that wait: pending (for their turn or the next try) or held (by a route, a silence "
    "or a digest).",
    ("channel", "state"),
)
OLDEST = Family(
    "tocsin_notify_channel_oldest_pending_age_seconds",
    "gauge",
    "How old the oldest pending delivery of a channel is; 0 without one.",
    ("channel",),
)
DEAD = Family(
    "tocsin_notify_dead_letters",
    "gauge",
    "Deliveries that were given up, as long as they are kept. Redelivering takes them away.",
    ("channel", "reason"),
)
BREAKER = Family(
    "tocsin_notify_channel_breaker",
    "gauge",
    "1 for the state in which the breaker of a channel is: closed, open or half_open.",
    ("channel", "state"),
)


@dataclass(frozen=True, slots=True)
class StandingMeasures:
    """Asks the database, once for each look at the metrics: each replica tells the same."""

    database: Database
    health: ChannelHealthStore
    clock: Clock

    @property
    def families(self) -> tuple[Family, ...]:
        return REVISION, CAUGHT_UP, CANARY, WAITING, OLDEST, DEAD, BREAKER

    async def readings(self) -> list[Reading]:
        async with self.database.connection() as connection:
            standing = await read_standing(connection)
        now = self.clock.now()
        found = [
            *_since(CAUGHT_UP, standing.caught_up_time),
            *_since(CANARY, standing.canary_arrive_time),
        ]
        if standing.revision is not None:
            found.append(REVISION.of(standing.revision))
        for channel in await self.health.read():
            found += _of_channel(channel, now)
        return found


def _since(family: Family, time: datetime | None) -> Iterator[Reading]:
    if time is not None:
        yield family.of(time.timestamp())


def _of_channel(health: ChannelHealth, now: datetime) -> Iterator[Reading]:
    name, oldest = health.channel_display_name, health.oldest_pending_time
    yield WAITING.of(health.pending_count, name, "pending")
    yield WAITING.of(health.held_count, name, "held")
    yield OLDEST.of(0 if oldest is None else max(0.0, (now - oldest).total_seconds()), name)
    for reason, count in health.dead:
        yield DEAD.of(count, name, reason.name.lower())
    for state in BreakerState:
        yield BREAKER.of(int(health.breaker.state is state), name, state.name.lower())
