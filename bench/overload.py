"""Twice as much as the service can do, whatever it answers: whether it sheds, and goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import asyncpg

from bench import h2load, probing
from bench.bodies import BATCH, RAISE, batch_body, raise_body
from bench.calls import KEYS_PER_BATCH
from bench.load import LoadError
from bench.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.ground import Server
    from bench.h2load import Flooded
    from bench.probing import Probed
    from bench.run import Bench

_TIMES = 2
_SECONDS, _QUICK_SECONDS = 60, 10
_BODIES = 8
_PROBES_PER_SECOND = 50
_LOOK_SECONDS = 0.5
# Each touch that was taken counts one occurrence: what the database has is what was done.
_DONE = "SELECT coalesce(sum(occurrences), 0) FROM alerts"


@dataclass(frozen=True, slots=True)
class _Flood:
    """One sort of call, of so many keys each. `of` is the prefix of its figures.

    `in_flight` calls at a time show its best rate: enough, and not yet too many.
    """

    of: str
    method: str
    keys: int
    in_flight: int
    make_body: Callable[[int], bytes]


def _batch(number: int) -> bytes:
    return batch_body(f"flood-{number}", range(KEYS_PER_BATCH))


_FLOODS = (
    _Flood("overload", RAISE, 1, 64, partial(raise_body, "flood")),
    _Flood("overload.batch", BATCH, KEYS_PER_BATCH, 8, _batch),
)


async def measure_overload(bench: Bench) -> None:
    """Measure the best rate, what becomes of twice that rate, and the best rate again.

    By calls, and by batches. The machine may be slower or faster a minute later, so what is written
    under the flood is compared with the mean of the two.
    """
    if not h2load.is_installed():
        bench.tell("overload needs h2load (package nghttp2-client): left out")
        return
    for flood in _FLOODS:
        url = await bench.ground.new_database()
        (await bench.ground.alert(url)).stop()
        alert = await bench.ground.alert(url)
        await _overload(bench, alert, url, flood)
        alert.stop()


async def _overload(bench: Bench, alert: Server, url: str, flood: _Flood) -> None:
    bench.tell(f"{flood.of}: the best rate, before more than that")
    best = await _best(bench, alert, flood)
    seconds = _QUICK_SECONDS if bench.scale > 1 else _SECONDS
    bench.tell(f"{flood.of}: open loop at {best * _TIMES:,.0f} calls/s for {seconds} s")
    probing_ = asyncio.ensure_future(
        bench.clients.run(probing.probe, alert.target, rate=_PROBES_PER_SECOND, seconds=seconds)
    )
    flooding = asyncio.ensure_future(
        asyncio.to_thread(
            h2load.flood,
            alert.target,
            flood.method,
            [flood.make_body(number) for number in range(_BODIES)],
            rate=best * _TIMES,
            seconds=seconds,
        )
    )
    goodput, most = await _observe(url, alert, flooding, seconds)
    flooded, probed = await flooding, await probing_
    again = await _best(bench, alert, flood)
    both = f"{best * flood.keys:,.0f}/s before, {again * flood.keys:,.0f}/s after"
    bench.report.add(f"{flood.of}.best", (best + again) / 2 * flood.keys, "/s", both)
    note = (
        f"a second {flooded.refused / seconds:,.0f} calls were refused by HTTP/2; "
        f"of {probed.calls:,} other calls {probed.told}"
    )
    bench.report.add(f"{flood.of}.goodput", goodput, "/s", note)
    bench.report.add(f"{flood.of}.memory", most, "MiB")
    _report_answers(bench, flood.of, flooded, probed)


async def _best(bench: Bench, alert: Server, flood: _Flood) -> float:
    """Return how many calls a second are answered when no more come than that."""
    load = await bench.call_often(alert, flood.method, flood.make_body, flood.in_flight)
    return load.rate


async def _observe(
    url: str, alert: Server, flooding: asyncio.Future[Flooded], seconds: int
) -> tuple[float, float]:
    """Return how many touches a second were written, and the most memory meanwhile."""
    database = await asyncpg.connect(url)
    try:
        await asyncio.sleep(1)
        before, begin = await database.fetchval(_DONE), time.perf_counter()
        most, after, lasted = 0.0, before, 0.0
        while not flooding.done():
            await asyncio.sleep(_LOOK_SECONDS)
            most = max(most, alert.resident_mebibytes)
            if time.perf_counter() - begin <= seconds - 1:
                after, lasted = await database.fetchval(_DONE), time.perf_counter() - begin
    finally:
        await database.close()
    if not lasted:
        raise LoadError("The flood was over before it could be observed.")
    return float(after - before) / lasted, most


def _report_answers(bench: Bench, of: str, flooded: Flooded, probed: Probed) -> None:
    took = sorted([*flooded.took, *probed.took])
    bench.report.add(f"{of}.p99", percentile(took, 0.99), "ms")
    bench.report.add(f"{of}.longest", took[-1], "ms")
    bare = probed.calls - probed.done - probed.refused_with_retry
    note = f"{probed.refused_with_retry:,} of {probed.calls:,} were refused with RetryInfo"
    bench.report.add(f"{of}.bare", 100 * bare / probed.calls, "%", note)
