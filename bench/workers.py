"""Two processes on one port: what a second core is good for.

The kernel deals connections out to the processes by chance, and eight of them seldom fall into
two halves. So each is tried three times, and the best deal counts, for the limit as well.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from bench import calls
from bench.bodies import ECHO, RAISE, raise_body
from bench.load import Cost, LoadError
from tocsin.alert.config import AlertSettings
from tocsin.cli.stack.health import is_serving
from tocsin.cli.stack.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.ground import Server
    from bench.load import Cost, Load
    from bench.run import Bench

_WORKERS = 2
_TRIES = 3
_ASKED = 16  # as many connections in a row: they reach every worker
_SERVING_SECONDS = 30


async def measure_workers(bench: Bench) -> None:
    """Measure two echoes, then two workers of tocsin-alert."""
    bench.tell("two bare echoes on one port")
    port = free_port()
    echoes = [await bench.ground.echo(port=port) for _ in range(_WORKERS)]
    load, _ = await _best(bench, echoes[0], ECHO, partial(raise_body, "echo"))
    bench.add_load("echo.two", load)
    for each in echoes:
        each.stop()
    if "workers" not in AlertSettings.model_fields:
        bench.tell("this tocsin-alert has no workers: left out")
        return
    bench.tell("two workers of tocsin-alert")
    url = await bench.ground.new_database()
    alert = await bench.ground.alert(url, workers=_WORKERS)
    await _until_all_serve(alert)
    load, cost = await _best(bench, alert, RAISE, partial(raise_body, "touched"))
    bench.add_load("touch.two", load, cost)
    for name, raises in (("batch.touch.two", False), ("batch.raise.two", True)):
        await _batches(bench, alert, name, raises=raises)
    alert.stop()


async def _batches(bench: Bench, alert: Server, name: str, *, raises: bool) -> None:
    """Send batches by two clients, of one connection each: in one of the tries to each worker."""
    bench.tell(f"two workers of tocsin-alert: {name}")
    best, note = 0.0, ""
    for turn in range(_TRIES):
        sending = asyncio.gather(
            *(
                bench.clients.run(
                    calls.batches, alert.target, f"{name}-{turn}-{number}", raises=raises,
                    seconds=bench.seconds,
                )
                for number in range(_WORKERS)
            )
        )  # fmt: skip
        done, spent = await bench.spent(alert, sending)
        rate = sum(each.rate for each in done)
        if rate > best:
            best, note = rate, str(spent.cost(rate, "key"))
    bench.report.add(name, best, "/s", note)


async def _until_all_serve(server: Server) -> None:
    """Wait until one connection after the other finds a worker that serves."""
    end = time.monotonic() + _SERVING_SECONDS
    good = 0
    while good < _ASKED:
        good = good + 1 if await asyncio.to_thread(is_serving, server.target) else 0
        if time.monotonic() > end:
            raise LoadError("Not all workers began to serve.")


async def _best(
    bench: Bench, server: Server, method: str, make_body: Callable[[int], bytes]
) -> tuple[Load, Cost]:
    tries = [
        await bench.observed(server, bench.call_often(server, method, make_body))
        for _ in range(_TRIES)
    ]
    return max(tries, key=lambda each: each[0].rate)
