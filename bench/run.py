"""One run: what it stands on, how long its loads last, and where its figures go."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from bench import h2load, raw_http2
from bench.calls import answer_bytes
from bench.load import Cost, Load, Spent, client_note, notes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.figures import Report
    from bench.ground import Ground, Server
    from bench.load import Clients


class _HasRate(Protocol):
    @property
    def rate(self) -> float: ...


_R = TypeVar("_R", bound=_HasRate)
_T = TypeVar("_T")

Generator = Literal["h2load", "raw"]

IN_FLIGHT = 64
_H2LOADS = 8
_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Bench:
    """A run under way.

    `seconds` is how long each load lasts; `scale` divides the number of alerts where a load has
    one. `generator` makes the unary loads that send the same few bodies again and again.
    """

    ground: Ground
    clients: Clients
    report: Report
    generator: Generator
    seconds: int = 5
    scale: int = 1

    def tell(self, what: str) -> None:
        """Say on standard error what is being measured now."""
        print(f"  {what} …", file=sys.stderr, flush=True)

    async def call_often(
        self,
        server: Server,
        method: str,
        make_body: Callable[[int], bytes],
        in_flight: int = IN_FLIGHT,
    ) -> Load:
        """Call with a few bodies again and again, so many at a time: a multiple of 8."""
        size = await answer_bytes(server.target, method, make_body(0))
        if self.generator == "h2load":
            return await asyncio.to_thread(
                h2load.load,
                server.target,
                method,
                [make_body(number) for number in range(_H2LOADS)],
                in_flight=in_flight,
                seconds=self.seconds,
                answer_bytes=size,
            )
        return await self.call_each(server, method, partial(cycled, make_body, _KEYS))

    async def call_each(
        self, server: Server, method: str, make_body: Callable[[int], bytes]
    ) -> Load:
        """Call with a body of its own each time, 64 at a time."""
        return await self.clients.run(
            raw_http2.load,
            server.target,
            method,
            make_body,
            in_flight=IN_FLIGHT,
            seconds=self.seconds,
        )

    async def observed(
        self, server: Server, loading: Awaitable[_R], *, of: str = "call"
    ) -> tuple[_R, Cost]:
        """Let a load run, and say what it cost the server. `of` is what its rate counts."""
        load, spent = await self.spent(server, loading)
        return load, spent.cost(load.rate, of)

    async def spent(self, server: Server, loading: Awaitable[_T]) -> tuple[_T, Spent]:
        """Let something run, and say what was spent on it."""
        before, begin = self._cpu_seconds(server), time.perf_counter()
        done = await loading
        seconds = time.perf_counter() - begin
        after = self._cpu_seconds(server)
        of_server, of_postgres = ((a - b) / seconds for a, b in zip(after, before, strict=True))
        return done, Spent(of_server, of_postgres)

    def _cpu_seconds(self, server: Server) -> tuple[float, float]:
        return server.cpu_seconds, self.ground.postgres_cpu_seconds

    def add_load(self, name: str, load: Load, cost: Cost | None = None) -> None:
        """Keep the rate, the median and the 99th percentile of a load."""
        note = notes(str(cost or ""), client_note(load.client_cores))
        self.report.add(name, load.rate, "/s", note)
        self.report.add(f"{name}.p50", load.p50, "ms")
        self.report.add(f"{name}.p99", load.p99, "ms")


def cycled(make_body: Callable[[int], bytes], count: int, number: int) -> bytes:
    """Make body 0 to `count` - 1 over and over."""
    return make_body(number % count)
