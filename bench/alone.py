"""PostgreSQL alone: what the same writes cost when nothing stands before them.

The tables are the least that the contract asks for: the unique index that is the deduplication,
and the log of events.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from bench.bodies import KIND
from bench.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Write = Callable[[Sequence["Report"]], Awaitable[Sequence[asyncpg.Record]]]

_WARM_UP_SECONDS = 0.5
_EVENT_BYTES = 300
_SAME = 10  # how many statements of touches there are to a connection
_MESSAGE = "Fatal: unable to open repository at sftp:backup@vault:/srv/restic: connection refused"

_TABLES = """
CREATE TABLE alerts (
    alert_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    host_id text NOT NULL, kind text NOT NULL, dedup_key text NOT NULL,
    severity smallint NOT NULL, message text NOT NULL, cause text NOT NULL, labels jsonb NOT NULL,
    occurrences bigint NOT NULL DEFAULT 1,
    raise_time timestamptz NOT NULL DEFAULT now(),
    last_seen_time timestamptz NOT NULL DEFAULT now(),
    resolve_time timestamptz
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX ON alerts (host_id, kind, dedup_key) WHERE resolve_time IS NULL;
CREATE TABLE events (
    revision bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    alert_id uuid NOT NULL, payload bytea NOT NULL
);
"""

_UPSERT = """
INSERT INTO alerts (host_id, kind, dedup_key, severity, message, cause, labels)
{source}
ON CONFLICT (host_id, kind, dedup_key) WHERE resolve_time IS NULL
DO UPDATE SET occurrences = alerts.occurrences + 1, last_seen_time = now(),
              message = excluded.message
RETURNING alert_id, raise_time, last_seen_time, occurrences
"""
_ONE = "VALUES ($1::text, $2::text, $3::text, $4::smallint, $5::text, $6::text, $7::text::jsonb)"
_MANY = """
SELECT host_id, kind, dedup_key, severity, message, cause, labels::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[])
     AS report (host_id, kind, dedup_key, severity, message, cause, labels)
"""
_WITH_EVENT = """
WITH raised AS ({upsert})
INSERT INTO events (alert_id, payload)
SELECT alert_id, payload
FROM (SELECT alert_id, row_number() OVER () AS place FROM raised) AS raised
JOIN unnest({payloads}) WITH ORDINALITY AS event (payload, place) USING (place)
RETURNING revision
"""


class Report(NamedTuple):
    """What is written of a failure, in the order of the columns. A raise has an event as well."""

    host_id: str
    kind: str
    dedup_key: str
    severity: int = 2
    message: str = _MESSAGE
    cause: str = "repository_unreachable"
    labels: str = '{"repository":"nightly","site":"home"}'


class Hammered(NamedTuple):
    """How many keys a second were written, and how much of a core that cost the client."""

    rate: float
    cores: float


async def make_tables(url: str) -> None:
    """Make the tables in an empty database."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_TABLES)
    finally:
        await connection.close()


class _Load(NamedTuple):
    url: str
    name: str
    raises: bool
    clients: int
    keys: int
    seconds: float


def hammer(
    url: str, *, name: str, raises: bool, clients: int, keys: int, seconds: float
) -> Hammered:
    """Write `keys` keys a statement over so many connections, each its own, for so long.

    `raises` says whether every key is a new one, with an event, or the same few again. For a
    process of its own: it runs an event loop. `name` tells its keys from those of others.
    """
    return asyncio.run(_hammer(_Load(url, name, raises, clients, keys, seconds)))


async def _hammer(load: _Load) -> Hammered:
    connections = [await asyncpg.connect(load.url) for _ in range(load.clients)]
    begin = time.perf_counter() + _WARM_UP_SECONDS
    cpu = time.process_time()
    writers = [
        _write(
            load,
            await prepare(connection, raises=load.raises, keys=load.keys),
            f"{load.name}-{number}",
            begin,
        )
        for number, connection in enumerate(connections)
    ]
    counts = await asyncio.gather(*writers)
    cores = (time.process_time() - cpu) / (load.seconds + _WARM_UP_SECONDS)
    for connection in connections:
        await connection.close()
    return Hammered(sum(counts) * load.keys / load.seconds, cores)


async def prepare(connection: asyncpg.Connection, *, raises: bool, keys: int) -> Write:
    """Return what writes so many keys by one statement: one row of what was written for each."""
    statement = _UPSERT.format(source=_ONE if keys == 1 else _MANY)
    if raises:
        payloads = "ARRAY[$8::bytea]" if keys == 1 else "$8::bytea[]"
        statement = _WITH_EVENT.format(upsert=statement, payloads=payloads)
    prepared = await connection.prepare(statement)

    def write(reports: Sequence[Report]) -> Awaitable[Sequence[asyncpg.Record]]:
        columns: list[Sequence[object]] = list(zip(*reports, strict=True))
        if raises:
            columns.append([report.dedup_key.encode().ljust(_EVENT_BYTES) for report in reports])
        values = [column[0] for column in columns] if keys == 1 else columns
        rows: Awaitable[Sequence[asyncpg.Record]] = prepared.fetch(*values)
        return rows

    return write


async def _write(load: _Load, write: Write, name: str, begin: float) -> int:
    """Write until the time is over, and return how many statements were begun in it."""
    turns = count = 0
    while (now := time.perf_counter()) < begin + load.seconds:
        turn = turns if load.raises else turns % _SAME
        await write([_report(f"{name}-{turn}", number) for number in range(load.keys)])
        turns += 1
        count += begin <= now
    return count


def _report(host_id: str, number: int) -> Report:
    return Report(host_id, KIND, f"group-{number:07}")


async def one_in_flight(url: str, seconds: float, *, raises: bool) -> float:
    """Return the median time of one prepared upsert after the other, in milliseconds.

    `raises` says whether each is of a new key, with an event, or all of the same one.
    """
    connection = await asyncpg.connect(url)
    try:
        write = await prepare(connection, raises=raises, keys=1)
        took = list[float]()
        end = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            await write([_report("alone", len(took) if raises else 0)])
            took.append(time.perf_counter() - begin)
    finally:
        await connection.close()
    return percentile(sorted(took), 0.5) * 1000
