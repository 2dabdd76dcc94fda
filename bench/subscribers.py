"""What subscribers cost: those that wait, and those that hear of much at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg

from bench import calls, watchers
from bench.bodies import WATCH
from bench.load import client_note, notes
from bench.raw_streams import raw_streams
from tocsin.alert.eventlog.wakeup import CHANNEL

if TYPE_CHECKING:
    from bench.ground import Server
    from bench.run import Bench
    from bench.watchers import Watcher

_IDLE = 1_000
_IDLE_SECONDS, _BASE_SECONDS = 25, 10
_SETTLE_SECONDS = 2
_WATCHERS = 10
_LIVE = 200_000
_CHUNK = 500
# The newest 1,500 to 2,000 events are in the memory of the service: nobody is to fall behind those.
_AHEAD = 1_000

# The last event again and again, as another replica of the service would append it.
_APPEND = """
INSERT INTO events ({columns})
SELECT {values}
FROM (SELECT * FROM events ORDER BY revision DESC LIMIT 1) AS last, generate_series(1, $1) AS place
"""


async def measure_subscribers(bench: Bench) -> None:
    """Measure both, on a fresh database."""
    url = await bench.ground.new_database()
    (await bench.ground.alert(url)).stop()
    alert = await bench.ground.alert(url)
    await _idle(bench, alert)
    await _fan_out(bench, alert, url)
    alert.stop()


async def _idle(bench: Bench, alert: Server) -> None:
    number = _IDLE // bench.scale
    bench.tell(f"{number} idle subscribers")
    before = alert.resident_mebibytes
    alone = await _share_of_a_core(alert, _BASE_SECONDS // bench.scale)
    async with raw_streams(alert.target, WATCH, b"", number, _ignore):
        await asyncio.sleep(_SETTLE_SECONDS)
        share = await _share_of_a_core(alert, _IDLE_SECONDS // bench.scale)
        grown = alert.resident_mebibytes - before
    note = f"{number:,} connections; with nobody {alone:.1f} %"
    bench.report.add(
        "idle_subscribers.memory", grown, "MiB", f"{grown * 1024 / number:.0f} KiB each"
    )
    bench.report.add("idle_subscribers.cpu", max(share - alone, 0), "%", note)


def _ignore(_message: bytes) -> None:
    """Subscribers that wait do nothing with what they hear."""


async def _share_of_a_core(alert: Server, seconds: int) -> float:
    """Return the percentage of a core that a server uses over so long."""
    before, begin = alert.cpu_seconds, time.perf_counter()
    await asyncio.sleep(seconds)
    return (alert.cpu_seconds - before) / (time.perf_counter() - begin) * 100


async def _fan_out(bench: Bench, alert: Server, url: str) -> None:
    bench.tell(f"{_WATCHERS} watchers live, events appended by SQL")
    await bench.clients.run(calls.raise_many, alert.target, "seed", 1)
    after = await calls.end_of_log(alert.target)
    total = _LIVE // bench.scale
    database = await asyncpg.connect(url)
    try:
        async with watchers.watching(alert.target, after, _WATCHERS) as live:
            for watcher in live:
                await watcher.until_live()
            appending = asyncio.ensure_future(_append(database, live, total))
            done = await watchers.count_all(live, after.revision + total)
            await appending
    finally:
        await database.close()
    rate = done.events / done.seconds
    appended = f"appended at {total / done.seconds:,.0f}/s"
    bench.report.add("live.fed", rate, "/s", notes(appended, client_note(done.cores)))


async def _append(database: asyncpg.Connection, live: list[Watcher], total: int) -> None:
    """Append so many events, never far ahead of the last of the watchers."""
    statement = await _append_statement(database)
    head = min(watcher.reached for watcher in live)
    end = head + total
    while head < end:
        if head - min(watcher.reached for watcher in live) > _AHEAD:
            await asyncio.sleep(0.001)
            continue
        count = min(_CHUNK, end - head)
        await database.execute(statement, count)
        await database.execute("SELECT pg_notify($1, '')", CHANNEL)
        head += count


async def _append_statement(database: asyncpg.Connection) -> str:
    names = await database.fetch(
        "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'events'"
    )
    columns = [row[0] for row in names]
    values = ["last.revision + place" if name == "revision" else f"last.{name}" for name in columns]
    return _APPEND.format(columns=", ".join(columns), values=", ".join(values))
