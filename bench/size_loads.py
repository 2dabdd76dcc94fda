"""What each call costs when there is much: from nearly nothing to a million open alerts."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from bench import calls
from bench.bodies import CLEAR, LIST, RAISE, clear_body, raise_body
from bench.filling import NAME, fill
from bench.load import client_note, notes
from bench.percentiles import percentile
from bench.watchers import watching
from tocsin.api.alert.v1.alert_service_pb2 import ListAlertsRequest, ListAlertsResponse
from tocsin.api.alert.v1.event_pb2 import Position

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bench.ground import Server
    from bench.run import Bench

OPERATIONS = ("raise", "touch", "clear", "list", "resume")
"""What is measured at each size, one call after the other."""


class Size(NamedTuple):
    """So many open alerts, and how that is called."""

    label: str
    open_alerts: int


# The first has what a full page and a resume read; else the large would do more than the empty.
EMPTY = Size("empty", 100)
SIZES = (EMPTY, Size("10k", 10_000), Size("100k", 100_000), Size("1M", 1_000_000))
QUICK_SIZES = (EMPTY, Size("1k", 1_000))

_PAGE = 50
_RESUMED_EVENTS = 100
_RESUMES = 50
_WARM_UP_ROUNDS = 50


async def measure_size(bench: Bench) -> None:
    """Measure each size in a database that grows."""
    url = await bench.ground.new_database()
    alert = await bench.ground.alert(url)
    await _make_patterns(bench, alert)
    alert.stop()
    before = EMPTY.open_alerts
    for size in QUICK_SIZES if bench.scale > 1 else SIZES:
        if size.open_alerts > before:
            bench.tell(f"filling in {size.open_alerts:,} open alerts, five times as many resolved")
            await fill(url, before, size.open_alerts)
            before = size.open_alerts
        alert = await bench.ground.alert(url)
        await _measure(bench, alert, size)
        alert.stop()


async def _make_patterns(bench: Bench, alert: Server) -> None:
    """Have the service write the alerts of the first size, and one that is resolved."""
    await bench.clients.run(calls.raise_many, alert.target, NAME, EMPTY.open_alerts)
    async with calls.calling(alert.target, RAISE) as call:
        await call(raise_body("pattern", 0))
    async with calls.calling(alert.target, CLEAR) as call:
        await call(clear_body("pattern", 0))


async def _measure(bench: Bench, alert: Server, size: Size) -> None:
    bench.tell(f"one call after the other, {size.label}")
    took = {
        "resume": await _resumes(alert),
        **await _rounds(alert, size, bench.seconds * 2),
    }
    for name in OPERATIONS:
        bench.report.add(f"size.{name}.{size.label}", percentile(sorted(took[name]), 0.5), "ms")
    for name, raises in (("batch.touch", False), ("batch.raise", True)):
        bench.tell(f"{name}, {size.label}")
        done, cost = await bench.observed(
            alert,
            bench.clients.run(
                calls.batches, alert.target, f"{name}-{size.label}", raises=raises,
                seconds=bench.seconds,
            ),
            of="key",
        )  # fmt: skip
        note = notes(str(cost), client_note(done.cores))
        bench.report.add(f"size.{name}.{size.label}", done.rate, "/s", note)


async def _resumes(alert: Server) -> list[float]:
    """Return how long it takes to hear of the last 100 events, which the service has to look up."""
    end = await calls.end_of_log(alert.target)
    after = Position(epoch=end.epoch, revision=max(end.revision - _RESUMED_EVENTS, 0))
    took = []
    for _ in range(_RESUMES):
        async with watching(alert.target, after) as (watcher,):
            begin = time.perf_counter()
            await watcher.count_until(end.revision)
            took.append((time.perf_counter() - begin) * 1000)
    return took


async def _rounds(alert: Server, size: Size, seconds: float) -> dict[str, list[float]]:
    """Raise, touch, clear and list by turns, so that noise falls on all of them alike."""
    chosen = random.Random(size.open_alerts)
    took: dict[str, list[float]] = {name: [] for name in OPERATIONS if name != "resume"}
    async with (
        calls.calling(alert.target, RAISE) as report,
        calls.calling(alert.target, CLEAR) as clear,
        calls.calling(alert.target, LIST) as listed,
    ):
        end = time.perf_counter() + seconds
        number = 0
        while time.perf_counter() < end or number < 2 * _WARM_UP_ROUNDS:
            name, touched = f"fresh-{size.label}", chosen.randrange(size.open_alerts)
            timed = {
                "raise": await _timed(report(raise_body(name, number))),
                "touch": await _timed(report(raise_body(NAME, touched))),
                "clear": await _timed(clear(clear_body(name, number))),
                "list": await _two_pages(listed),
            }
            number += 1
            if number > _WARM_UP_ROUNDS:
                for operation, each in timed.items():
                    took[operation].append(each)
    return took


async def _two_pages(listed: calls.Call) -> float:
    """Return how long a page takes, on average of the first and the second."""
    begin = time.perf_counter()
    first = await listed(ListAlertsRequest(page_size=_PAGE).SerializeToString())
    token = ListAlertsResponse.FromString(first).next_page_token
    await listed(ListAlertsRequest(page_size=_PAGE, page_token=token).SerializeToString())
    return (time.perf_counter() - begin) * 1000 / 2


async def _timed(call: Awaitable[bytes]) -> float:
    begin = time.perf_counter()
    await call
    return (time.perf_counter() - begin) * 1000
