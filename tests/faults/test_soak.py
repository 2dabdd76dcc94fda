"""Hours of ordinary wear: callers that give up, subscribers that come and go. Nothing grows.

`make soak` runs it for two hours, or for SOAK minutes.

A call that is given up makes room for the next one at once at the client's end, but at the server
it counts for its connection until the event loop has taken it up and let go of it. Where the loop
stands still for a third of a second, more than 250 have gathered, and gRPC refuses what follows on
that connection with UNAVAILABLE (RST_STREAM, REFUSED_STREAM: nothing was begun). It guards against
https://www.cve.org/CVERecord?id=CVE-2023-44487. So refusals are let pass, and counted; that none of
those calls is held for good is seen at the end, when the same connection takes 200 at once.

gRPC's server itself would keep some bytes of what is given up in the midst of receiving or sending:
more in two hours than is allowed here. See tocsin.common.rpc.whole_batches.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import pytest

from support.footprint import MIB, Footprint, footprint_of, mib_an_hour
from support.pausing import Stage, stage
from support.telemetry import page
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub

if TYPE_CHECKING:
    from pathlib import Path

    from support.figures import Figures
    from support.processes import ServiceProcess
    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from tocsin.common.postgres.embedded import Binaries

MINUTES = float(os.environ.get("SOAK", "0"))
CANCELLED_CALLS = 100_000
FEW = 300
CALLERS, SUBSCRIBERS, KEYS = 8, 8, 50
AT_ONCE = 200
WARM = 0.25
"""Of the time: what is allocated meanwhile is for good. Half an hour of two."""
LONG_ENOUGH_MINUTES = 60
"""In less, the allocator alone makes for some MiB an hour."""
SLOPE_MIB_AN_HOUR = 1.0
# Connections come and go; streams hold none of their own.
FLAT = 8
# A call is one or two for as long as it lasts, a stream a few.
TASKS_OF_EACH = 4
TASKS = re.compile(r"tocsin_\w+_asyncio_tasks ")


@dataclass
class Wear:
    """Wears the alert service. `cancelled` calls are spread over the time."""

    stage: Stage
    alerts: AlertServiceAsyncStub
    dice: random.Random
    pause_seconds: float
    cancelled: int = 0
    refused: int = 0
    streams: int = 0
    seen: dict[str, list[Footprint]] = field(default_factory=dict)

    async def call(self) -> None:
        """Raise and clear for ever, and give up half of it in the midst."""
        while True:
            key = str(self.dice.randrange(KEYS))
            call: grpc.aio.Call
            if self.dice.random() < 0.5:
                clear = pb.AutoResolveRequest(host_id="nas", kind="backup_failed", dedup_key=key)
                call = self.alerts.AutoResolve(clear)
            else:
                failure = pb.RaiseOrTouchRequest(host_id="nas", kind="backup_failed", dedup_key=key)
                call = self.alerts.RaiseOrTouch(failure)
            ended, _ = await asyncio.wait(
                [asyncio.ensure_future(self._end_of(call))], timeout=self.dice.uniform(0, 0.004)
            )
            if not ended:
                call.cancel()
                self.cancelled += 1
            await asyncio.sleep(self.pause_seconds)  # the pace of the load

    async def _end_of(self, call: grpc.aio.Call) -> None:
        code = await call.code()
        self.refused += code is grpc.StatusCode.UNAVAILABLE
        assert code in {
            grpc.StatusCode.OK,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.UNAVAILABLE,
        }

    async def subscribe(self) -> None:
        """Follow the log for a moment, leave, and come again."""
        while True:
            watch = self.alerts.WatchEvents(pb.WatchEventsRequest(snapshot=True))
            self.streams += 1
            with suppress(TimeoutError, grpc.aio.AioRpcError):
                async with asyncio.timeout(self.dice.uniform(0, 2)):
                    while True:
                        await watch.read()
            watch.cancel()

    async def look(self, every: float) -> None:
        while True:
            for name in ("alert", "notify", "other"):
                service: ServiceProcess = getattr(self.stage, name)
                tasks = await tasks_of(service)
                now = footprint_of(service.pid, time.monotonic(), tasks)
                self.seen.setdefault(name, []).append(now)
            self.stage.receiver.requests.clear()
            await asyncio.sleep(every)  # memory gives no signal: it is looked at by the clock


async def tasks_of(service: ServiceProcess) -> int:
    """Return how many tasks there are in its event loop, by its own metrics."""
    _, text = await page(service.metrics, "/metrics")
    [line] = [line for line in text.splitlines() if TASKS.match(line)]
    return int(float(line.split()[-1]))


async def codes_at_once(alerts: AlertServiceAsyncStub) -> set[grpc.StatusCode]:
    """Return how calls end that are all under way together."""
    calls = [
        alerts.RaiseOrTouch(pb.RaiseOrTouchRequest(host_id="nas", kind="disk_full", dedup_key=key))
        for key in map(str, range(AT_ONCE))
    ]
    return {await call.code() for call in calls}


async def still_takes_calls(alerts: AlertServiceAsyncStub) -> bool:
    return await codes_at_once(alerts) == {grpc.StatusCode.OK}


@pytest.mark.parametrize(
    ("minutes", "cancelled"),
    [
        pytest.param(0.05, FEW, id="slice"),
        pytest.param(
            MINUTES,
            CANCELLED_CALLS,
            id="full",
            marks=[pytest.mark.long, pytest.mark.skipif(not MINUTES, reason="hours: make soak")],
        ),
    ],
)
@pytest.mark.timeout(0)
async def test_nothing_grows_while_callers_give_up_and_subscribers_come_and_go(
    postgres_binaries: Binaries,
    tmp_path: Path,
    *,
    seed: int,
    figures: Figures,
    minutes: float,
    cancelled: int,
) -> None:
    seconds = minutes * 60
    async with (
        stage(postgres_binaries, tmp_path, lease_seconds=30) as worn,
        grpc.aio.insecure_channel(worn.alert.target) as channel,
    ):
        stub: AlertServiceAsyncStub = AlertServiceStub(channel)
        # Half of the calls are given up in time.
        pause = max(0.0, seconds * CALLERS / (2.2 * cancelled) - 0.005)
        wear = Wear(worn, stub, random.Random(seed), pause)
        work = [wear.call() for _ in range(CALLERS)]
        work += [wear.subscribe() for _ in range(SUBSCRIBERS)]
        tasks = [asyncio.ensure_future(each) for each in [*work, wear.look(min(5, seconds / 8))]]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        # What was given up last may have to be let go of first.
        await eventually(lambda: still_takes_calls(stub))
    report(figures, seed, minutes, wear)
    for name, seen in wear.seen.items():
        assert_flat(name, seen[int(len(seen) * WARM) :], minutes)


def report(figures: Figures, seed: int, minutes: float, wear: Wear) -> None:
    counts = {"minutes": minutes, "cancelled_calls": wear.cancelled, "streams": wear.streams}
    counts["refused_calls"] = wear.refused
    for name, seen in wear.seen.items():
        warm = seen[int(len(seen) * WARM) :]
        counts[f"{name}_MiB"] = round(warm[-1].memory / MIB, 1)
        counts[f"{name}_MiB_an_hour"] = round(mib_an_hour(warm), 2)
        counts[f"{name}_descriptors"] = warm[-1].descriptors
        counts[f"{name}_tasks"] = warm[-1].tasks
        counts[f"{name}_tasks_at_most"] = max(each.tasks for each in warm)
    figures.record(fault="soak", seed=seed, **counts)


def assert_flat(name: str, seen: list[Footprint], minutes: float) -> None:
    descriptors = [each.descriptors for each in seen]
    assert max(descriptors) - min(descriptors) <= FLAT + SUBSCRIBERS, (name, descriptors)
    threads = [each.threads for each in seen]
    assert max(threads) - min(threads) <= FLAT + SUBSCRIBERS, (name, threads)
    # What comes and goes is some for each caller; what stays would be one for each call given up.
    tasks = [each.tasks for each in seen]
    assert max(tasks) - min(tasks) <= FLAT + TASKS_OF_EACH * (CALLERS + SUBSCRIBERS), (name, tasks)
    if minutes >= LONG_ENOUGH_MINUTES:
        assert mib_an_hour(seen) < SLOPE_MIB_AN_HOUR, name
