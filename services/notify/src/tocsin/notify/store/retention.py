"""What is over is forgotten after a while: events, their deliveries and the attempts.

The rows of an alert are needed for as long as anything may still be told of it: whether its end is
told depends on whether its beginning was. So nothing goes of an alert that is not resolved, nor of
one with a delivery that is not finished, or was finished lately.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.common.postgres.engine import Database

# 'forget', as ASCII; any number that nothing else in this database takes.
_LOCK = 0x666F72676574

_LOCKED = "SELECT pg_try_advisory_xact_lock($1)"

# The sequence grows with the time: a page without an old event is the end. States are written as
# numbers so that the partial index serves: 1 PENDING, 2 SENDING, 6 HELD.
_PAGE = """
WITH page AS (
    SELECT event_id, sequence, alert_id, receive_time < $2 AS is_old FROM inbox_events
     WHERE sequence > $1 ORDER BY sequence LIMIT $3
)
SELECT max(sequence) AS last, count(*) FILTER (WHERE is_old) AS old,
       array_agg(event_id) FILTER (
           WHERE is_old
             AND NOT EXISTS (SELECT FROM known_alerts k WHERE k.alert_id = page.alert_id)
             AND NOT EXISTS (
                     SELECT FROM deliveries d
                      WHERE d.alert_id = page.alert_id
                        AND (d.state IN (1, 2, 6) OR d.settle_time >= $2)
                 )
       ) AS over
  FROM page
"""

# A claim or the follower that holds one at this moment has to do with it: it stays.
_LOCK_TELLINGS = """
SELECT t.channel_id, t.alert_id FROM tellings t
 WHERE t.alert_id IN (SELECT alert_id FROM inbox_events WHERE event_id = ANY($1::uuid[]))
   FOR UPDATE SKIP LOCKED
"""

_FORGET_TELLINGS = """
DELETE FROM tellings t
 USING unnest($1::uuid[], $2::uuid[]) AS given (channel_id, alert_id)
 WHERE t.channel_id = given.channel_id AND t.alert_id = given.alert_id
   AND NOT EXISTS (SELECT FROM known_alerts k WHERE k.alert_id = t.alert_id)
   AND NOT EXISTS (SELECT FROM deliveries d
                    WHERE d.alert_id = t.alert_id AND d.channel_id = t.channel_id)
"""

# Windows that come again for ever stay until somebody ends them.
_FORGET_SILENCES = """
DELETE FROM silences WHERE least(expire_time, end_time) < $1
"""

# The attempts go with them. One that was put back in line since then stays, and so does its event.
_FORGET_DELIVERIES = """
DELETE FROM deliveries WHERE event_id = ANY($1::uuid[]) AND state NOT IN (1, 2, 6)
"""

_FORGET_EVENTS = """
WITH gone AS (
    DELETE FROM inbox_events i
     WHERE event_id = ANY($1::uuid[])
       AND NOT EXISTS (SELECT FROM deliveries d WHERE d.event_id = i.event_id)
    RETURNING 1
)
SELECT count(*) FROM gone
"""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many events were forgotten, and after which sequence to go on, None at the end."""

    events: int
    go_on_after: int | None


async def prune(database: Database, cutoff: datetime, *, after: int, limit: int) -> Pruned:
    """Forget what is over since before `cutoff` among the next `limit` events.

    `after` is the sequence that the last call came to, 0 at first. One replica at a time does it;
    for the others there is nothing to do. Raises UnavailableError.
    """
    async with database.transaction() as connection:
        if not await connection.fetchval(_LOCKED, _LOCK):
            return Pruned(0, None)
        page = await connection.fetchrow(_PAGE, after, cutoff, limit)
        gone = 0
        if page["over"]:
            tellings = await connection.fetch(_LOCK_TELLINGS, page["over"])
            await connection.execute(_FORGET_DELIVERIES, page["over"])
            columns = [
                [row["channel_id"] for row in tellings],
                [row["alert_id"] for row in tellings],
            ]
            await connection.execute(_FORGET_TELLINGS, *columns)
            gone = await connection.fetchval(_FORGET_EVENTS, page["over"])
        return Pruned(gone, page["last"] if page["old"] else None)


async def prune_silences(database: Database, cutoff: datetime) -> None:
    """Forget silences that were over before `cutoff`. Raises UnavailableError."""
    async with database.connection() as connection:
        await connection.execute(_FORGET_SILENCES, cutoff)
