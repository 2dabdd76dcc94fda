"""Everything fails at once: many alerts at full speed, each told to one webhook."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from bench import calls
from bench.load import LoadError
from bench.notify_loads import create_channel
from bench.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.ground import Server
    from bench.receiver import Arrivals
    from bench.run import Bench

_ALERTS = 100_000
_QUICK = 50
_EVERY = 10
"""Of so many alerts one becomes critical once all are raised, so that there is an order to keep."""

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 300
# Pending, being sent, or held: domain/delivery.py of tocsin-notify.
_LEFT = """
SELECT (SELECT count(*) FROM inbox_events),
       (SELECT count(*) FROM deliveries WHERE state IN (1, 2, 6))
"""


class Told(NamedTuple):
    """What a webhook was told: of which alerts last as critical, and how often out of order."""

    alerts: int
    critical: int
    disordered: int
    requests: int


async def measure_storm(bench: Bench) -> None:
    """Measure it, on fresh databases."""
    alert_url, notify_url = [await bench.ground.new_database() for _ in range(2)]
    (await bench.ground.alert(alert_url)).stop()  # the first start migrates: it holds more memory
    alert = await bench.ground.alert(alert_url)
    (await bench.ground.notify(notify_url, alert.target)).stop()
    notify = await bench.ground.notify(notify_url, alert.target)
    total = _ALERTS // (_QUICK if bench.scale > 1 else 1)
    bench.tell(f"a storm of {total:,} alerts")
    async with receiving() as arrivals:
        await create_channel(notify, arrivals.url)
        begin = time.monotonic_ns()
        raising = asyncio.ensure_future(_raise(bench, alert, total))
        is_over = await _wait(notify_url, total + total // _EVERY)
        raised = await raising
        _report(bench, total, arrivals, begin, raised=raised, is_over=is_over)
    bench.report.add("storm.memory.alert", alert.peak_mebibytes, "MiB")
    bench.report.add("storm.memory.notify", notify.peak_mebibytes, "MiB")
    notify.stop()
    alert.stop()


async def _raise(bench: Bench, alert: Server, total: int) -> float:
    """Raise all, then make some critical. Returns how long that took, in seconds."""
    begin = time.monotonic()
    await bench.clients.run(calls.raise_many, alert.target, "storm", total)
    some = range(0, total, _EVERY)
    await bench.clients.run(calls.make_critical, alert.target, "storm", some)
    return time.monotonic() - begin


async def _wait(url: str, events: int) -> bool:
    """Wait until nothing is left to tell, but not for ever. Whether nothing is."""
    database = await asyncpg.connect(url)
    end = time.monotonic() + _PATIENCE_SECONDS
    try:
        while time.monotonic() < end:
            taken_in, left = await database.fetchrow(_LEFT)
            if taken_in >= events and not left:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await database.close()
    return False


def _report(
    bench: Bench, total: int, arrivals: Arrivals, begin: int, *, raised: float, is_over: bool
) -> None:
    told = what_was_told(arrivals.bodies)
    if told.disordered:
        raise LoadError(f"{told.disordered} alerts of a storm were told out of order.")
    if is_over and (told.alerts, told.critical) != (total, total // _EVERY):
        raise LoadError(f"Of {total} alerts of a storm it was told: {told}.")
    seconds = (arrivals.moments[-1] - begin) / 1e9 if is_over else _PATIENCE_SECONDS
    note = f"{told.requests:,} requests, in order; raised in {raised:.0f} s"
    if not is_over:
        note = f"only {told.alerts:,} of {total:,} were told by then"
    bench.report.add("storm", seconds, "s", note)


def what_was_told(bodies: Iterable[bytes]) -> Told:
    """Read what came, in the order in which it came."""
    last: dict[str, tuple[int, str]] = {}
    disordered: set[str] = set()
    requests = 0
    for body in bodies:
        event = json.loads(body)["data"]
        alert = event["alert"]
        revision = event["position"]["revision"]
        if revision < last.get(alert["alert_id"], (0, ""))[0]:
            disordered.add(alert["alert_id"])
        last[alert["alert_id"]] = (revision, alert["severity"])
        requests += 1
    critical = sum(severity == "critical" for _, severity in last.values())
    return Told(len(last), critical, len(disordered), requests)
