"""What a million calls leave behind in the memory of the services."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench import calls, h2load
from bench.bodies import CHANNELS, CLEAR, RAISE, clear_body, raise_body
from bench.run import IN_FLIGHT

if TYPE_CHECKING:
    from bench.ground import Server
    from bench.run import Bench

_CALLS = 1_000_000
_NOTIFY_CALLS = 200_000
_QUICK = 50
_RAISES = 20_000
_BODIES = 8


async def measure_endurance(bench: Bench) -> None:
    """Measure both services, one after the other."""
    if not h2load.is_installed():
        bench.tell("endurance needs h2load (package nghttp2-client): left out")
        return
    alert = await _alert(bench)
    url = await bench.ground.new_database()
    (await bench.ground.notify(url, alert.target)).stop()
    notify = await bench.ground.notify(url, alert.target)
    idle = notify.resident_mebibytes
    number = _number(bench, _NOTIFY_CALLS)
    await _call(bench, notify, CHANNELS, [b""] * _BODIES, number)
    grown = notify.resident_mebibytes - idle
    bench.report.add("endurance.notify", grown, "MiB", f"{number:,} calls of ListChannels")


async def _alert(bench: Bench) -> Server:
    url = await bench.ground.new_database()
    (await bench.ground.alert(url)).stop()
    alert = await bench.ground.alert(url)
    idle = alert.resident_mebibytes
    raises, number = _number(bench, _RAISES), _number(bench, _CALLS)
    await bench.clients.run(calls.raise_many, alert.target, "raised", raises)
    raised = alert.resident_mebibytes
    for method, make in ((CLEAR, clear_body), (RAISE, raise_body)):
        bodies = [make("endured", each) for each in range(_BODIES)]
        await _call(bench, alert, method, bodies, number // 2)
    grown = alert.resident_mebibytes - idle
    note = (
        f"{raised - idle:.1f} MiB by the first {raises:,} raises, "
        f"{grown - (raised - idle):.1f} MiB by {number:,} touches and successes after it"
    )
    bench.report.add("endurance.alert", grown, "MiB", note)
    return alert


async def _call(
    bench: Bench, server: Server, method: str, bodies: list[bytes], number: int
) -> None:
    bench.tell(f"{number:,} calls of {method.rpartition('/')[2]}")
    size = await calls.answer_bytes(server.target, method, bodies[0])
    await asyncio.to_thread(
        h2load.load_number,
        server.target,
        method,
        bodies,
        in_flight=IN_FLIGHT,
        number=number,
        answer_bytes=size,
    )


def _number(bench: Bench, number: int) -> int:
    return number // (_QUICK if bench.scale > 1 else 1)
