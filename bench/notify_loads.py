"""The whole way, from a raise to a webhook, through both services."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg

from bench import calls, paced
from bench.bodies import RAISE
from bench.load import LoadError
from bench.percentiles import p50_and_p99
from bench.receiver import receiving
from tocsin.api.notify.v1.channel_pb2 import Channel, RateLimit, WebhookConfig
from tocsin.client import NotifyClient

if TYPE_CHECKING:
    from bench.ground import Server
    from bench.receiver import Arrivals
    from bench.run import Bench

_RATE = 50
_WARM_UP_SECONDS = 1
_DELIVERIES = 5_000
_LOOK_SECONDS = 0.01
_PATIENCE_SECONDS = 60
_RECORDED = "SELECT count(*) FROM attempts WHERE outcome = 1"


async def measure_notify(bench: Bench) -> None:
    """Measure all of it, on fresh databases."""
    alert = await bench.ground.alert(await bench.ground.new_database())
    url = await bench.ground.new_database()
    (await bench.ground.notify(url, alert.target)).stop()  # the first start migrates
    notify = await bench.ground.notify(url, alert.target)
    bench.report.add("start.notify", notify.start_seconds, "s")
    bench.report.add("memory.notify", notify.resident_mebibytes, "MiB")
    async with receiving() as arrivals:
        await create_channel(notify, arrivals.url)
        await _raise_to_webhook(bench, alert, arrivals)
        notify.stop()
        total = _DELIVERIES // bench.scale
        bench.tell(f"{total} deliveries")
        await bench.clients.run(calls.raise_many, alert.target, "storm", total)
        notify = await _deliver(bench, alert, url, arrivals, total)
    bench.report.add("memory.notify.loaded", notify.resident_mebibytes, "MiB")
    notify.stop()
    alert.stop()


async def create_channel(notify: Server, url: str) -> None:
    """Have all alerts told to a webhook, as fast as it goes."""
    channel = Channel(
        display_name="bench",
        enabled=True,
        webhook=WebhookConfig(url=url),
        rate_limit=RateLimit(burst=0),  # no limit: what is measured is how fast it can be
    )
    async with NotifyClient(notify.target) as client:
        await client.create_channel(channel)


async def _raise_to_webhook(bench: Bench, alert: Server, arrivals: Arrivals) -> None:
    bench.tell(f"raise to webhook, {_RATE}/s")
    for name, seconds in (("warm", _WARM_UP_SECONDS), ("told", bench.seconds)):
        arrivals.clear()
        await bench.clients.run(
            paced.raise_steadily, alert.target, RAISE, name, rate=_RATE, seconds=seconds
        )
        await arrivals.wait_for(_RATE * seconds + 1)
    p50, p99 = p50_and_p99(arrivals.lateness())
    bench.report.add("webhook.p50", p50, "ms")
    bench.report.add("webhook.p99", p99, "ms")


async def _deliver(bench: Bench, alert: Server, url: str, arrivals: Arrivals, total: int) -> Server:
    """Start notify on all that waits; measure from the first arrival to the last record."""
    arrivals.clear()
    database = await asyncpg.connect(url)
    try:
        before: int = await database.fetchval(_RECORDED)
        notify = await bench.ground.notify(url, alert.target)
        await arrivals.wait_for(total)
        await _until_recorded(database, before + total)
    finally:
        await database.close()
    seconds = (time.monotonic_ns() - arrivals.moments[0]) / 1e9
    bench.report.add("deliveries", total / seconds, "/s")
    return notify


async def _until_recorded(database: asyncpg.Connection, wanted: int) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while (recorded := await database.fetchval(_RECORDED)) < wanted:
        if time.monotonic() > end:
            raise LoadError(f"{recorded} attempts were recorded, and not {wanted}.")
        await asyncio.sleep(_LOOK_SECONDS)
