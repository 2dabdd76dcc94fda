"""The alert service under load, with nobody else beside it."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING

from bench import calls, steady, watchers
from bench.bodies import CLEAR, RAISE, clear_body, raise_body
from bench.load import client_note, notes

if TYPE_CHECKING:
    from bench.ground import Server
    from bench.run import Bench

_WATCHERS = 10
_CLIENT_PROCESSES = 2
_LOG = 50_000
_LIVE = 20_000


async def measure_alert(bench: Bench) -> None:
    """Measure all of it, on a fresh database."""
    url = await bench.ground.new_database()
    (await bench.ground.alert(url)).stop()  # the first start migrates, which happens once
    alert = await bench.ground.alert(url)
    bench.report.add("start.alert", alert.start_seconds, "s")
    bench.report.add("memory.alert", alert.resident_mebibytes, "MiB")
    await _one_in_flight(bench, alert)
    await steady.measure_watched(bench, alert, steady.THROUGH_ALERT, "watcher")
    await _unary(bench, alert)
    await _batches(bench, alert)
    await _catch_up(bench, alert)
    await _live(bench, alert)
    bench.report.add("memory.alert.loaded", alert.resident_mebibytes, "MiB")
    alert.stop()


async def _one_in_flight(bench: Bench, alert: Server) -> None:
    bench.tell("one in flight")
    body = raise_body("idle", 0)
    took = await calls.one_in_flight(alert.target, RAISE, body, bench.seconds / 2)
    bench.report.add("idle.touch", took, "ms")


async def _unary(bench: Bench, alert: Server) -> None:
    bench.tell("touches")
    touching = bench.call_often(alert, RAISE, partial(raise_body, "touched"))
    bench.add_load("touch", *await bench.observed(alert, touching))
    bench.tell("successes with nothing open")
    clearing = bench.call_often(alert, CLEAR, partial(clear_body, "healthy"))
    bench.add_load("clear", *await bench.observed(alert, clearing))
    bench.tell("raises")
    raising = bench.call_each(alert, RAISE, partial(raise_body, "raised"))
    bench.add_load("raise", *await bench.observed(alert, raising))


async def _batches(bench: Bench, alert: Server) -> None:
    for name, raises in (("batch.touch", False), ("batch.raise", True)):
        bench.tell(f"batches of {calls.KEYS_PER_BATCH}: {name}")
        raising = bench.clients.run(
            calls.batches, alert.target, name, raises=raises, seconds=bench.seconds
        )
        done, cost = await bench.observed(alert, raising, of="key")
        beside = _beside_bare(bench, name, done.rate)
        bench.report.add(name, done.rate, "/s", notes(str(cost), beside, client_note(done.cores)))
        cores = len(os.sched_getaffinity(0))
        note = f"{cores} cores, none of them ever idle; the client {done.cores:.2f} of one"
        bench.report.add(f"{name}.most", cost.most(done.cores, cores), "/s", note)


def _beside_bare(bench: Bench, name: str, rate: float) -> str:
    """Say what part of the rate of the least that a server does is reached, if it was measured."""
    bare = bench.report.figures.get(f"bare.{name}")
    return f"{rate / bare.value:.2f} of the bare server" if bare else ""


async def _catch_up(bench: Bench, alert: Server) -> None:
    bench.tell(f"{_WATCHERS} watchers catching up")
    wanted = _LOG // bench.scale
    end = await calls.end_of_log(alert.target)
    if end.revision < wanted:
        missing = wanted - end.revision
        await bench.clients.run(calls.raise_many, alert.target, "log", missing)
        end = await calls.end_of_log(alert.target)
    each = _WATCHERS // _CLIENT_PROCESSES
    after = end.revision - wanted
    parts = [
        bench.clients.run(watchers.catch_up, alert.target, end.epoch, after, end.revision, each)
        for _ in range(_CLIENT_PROCESSES)
    ]
    done = await asyncio.gather(*parts)
    rate = sum(part.events for part in done) / max(part.seconds for part in done)
    bench.report.add("catch_up", rate, "/s", client_note(max(part.cores for part in done)))


async def _live(bench: Bench, alert: Server) -> None:
    bench.tell(f"{_WATCHERS} watchers live")
    total = _LIVE // bench.scale
    after = await calls.end_of_log(alert.target)
    async with watchers.watching(alert.target, after, _WATCHERS) as live:
        for watcher in live:
            await watcher.until_live()
        raising = asyncio.ensure_future(
            bench.clients.run(calls.raise_many, alert.target, "live", total)
        )
        done = await watchers.count_all(live, after.revision + total)
        await raising
    rate = done.events / done.seconds
    raised = f"raised at {total / done.seconds:,.0f}/s"
    bench.report.add("live", rate, "/s", notes(raised, client_note(done.cores)))
