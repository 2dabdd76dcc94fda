"""Raises at a steady rate, and how late those hear of them who wait at the other end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from bench import paced
from bench.bodies import ECHO, ECHOES, RAISE, WATCH
from bench.percentiles import p50_and_p99
from bench.raw_streams import raw_streams
from tocsin.api.alert.v1.alert_service_pb2 import RaiseOrTouchRequest, WatchEventsResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.ground import Server
    from bench.run import Bench

WATCHED_RATE = 500
_PATIENCE_SECONDS = 30


class Way(NamedTuple):
    """Where a raise is sent, what is watched, and how the messages of alerts are read of it."""

    call: str
    watch: str
    read: Callable[[bytes], Iterable[str]]


def _of_request(message: bytes) -> Iterable[str]:
    return [RaiseOrTouchRequest.FromString(message).message]


def _of_events(message: bytes) -> Iterable[str]:
    return [event.alert.message for event in WatchEventsResponse.FromString(message).events]


THROUGH_ALERT = Way(RAISE, WATCH, _of_events)
THROUGH_NOTHING = Way(ECHO, ECHOES, _of_request)


async def measure_watched(bench: Bench, server: Server, way: Way, figure: str) -> None:
    """Raise to one watcher, and keep how late what it hears comes, and the answers."""
    bench.tell(f"raise to watcher, {WATCHED_RATE}/s: {figure}")
    heard = Heard(way, WATCHED_RATE * bench.seconds)
    async with raw_streams(server.target, way.watch, b"", 1, heard.take):
        answers = bench.clients.run(
            paced.raise_steadily,
            server.target,
            way.call,
            figure,
            rate=WATCHED_RATE,
            seconds=bench.seconds,
        )
        steady, cost = await bench.observed(server, answers)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await heard.all.wait()
    for name, late, note in (
        (figure, heard.late, str(cost)),
        (f"{figure}.answer", steady.late, ""),
    ):
        p50, p99 = p50_and_p99(late)
        bench.report.add(f"{name}.p50", p50, "ms", note)
        bench.report.add(f"{name}.p99", p99, "ms")


class Heard:
    """By how many milliseconds what was heard came after it was due; `all` is set by the last."""

    def __init__(self, way: Way, count: int) -> None:
        self.late: list[float] = []
        self.all = asyncio.Event()
        self._read = way.read
        self._count = count

    def take(self, message: bytes) -> None:
        now = time.monotonic_ns()
        due = (int(text) for text in self._read(message) if text.isdigit())
        self.late += [(now - each) / 1e6 for each in due if each]
        if len(self.late) >= self._count:
            self.all.set()
