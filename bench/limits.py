"""What cannot be beaten here: a bare echo, PostgreSQL alone, and both with no more between."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench import alone, calls, post, steady
from bench.bodies import ECHO, raise_body
from bench.load import client_note, notes

if TYPE_CHECKING:
    from bench.run import Bench

_CLIENT_PROCESSES = 2


class _Load(NamedTuple):
    name: str
    raises: bool
    clients: int
    keys_per_statement: int


_LOADS = (
    _Load("postgres.touch", raises=False, clients=32, keys_per_statement=1),
    _Load("postgres.raise", raises=True, clients=32, keys_per_statement=1),
    _Load("postgres.touch_100", raises=False, clients=4, keys_per_statement=100),
    _Load("postgres.raise_100", raises=True, clients=4, keys_per_statement=100),
)


async def measure_limits(bench: Bench) -> None:
    """Measure all of them, one after the other."""
    url = await bench.ground.new_database()
    await alone.make_tables(url)
    bench.tell("PostgreSQL alone, one in flight")
    for name, raises in (("idle.postgres", False), ("idle.postgres.raise", True)):
        idle = await alone.one_in_flight(url, bench.seconds / 2, raises=raises)
        bench.report.add(name, idle, "ms")
    for load in _LOADS:
        await _hammer(bench, url, load)
    for name, raises in (("bare.batch.touch", False), ("bare.batch.raise", True)):
        await _bare_batches(bench, url, name, raises=raises)
    await _echo(bench)


async def _hammer(bench: Bench, url: str, load: _Load) -> None:
    bench.tell(f"PostgreSQL alone: {load.name}")
    parts = [
        bench.clients.run(
            alone.hammer,
            url,
            name=f"{load.name}-{number}",
            raises=load.raises,
            clients=load.clients // _CLIENT_PROCESSES,
            keys=load.keys_per_statement,
            seconds=bench.seconds,
        )
        for number in range(_CLIENT_PROCESSES)
    ]
    done = await asyncio.gather(*parts)
    note = client_note(max(each.cores for each in done))
    bench.report.add(load.name, sum(each.rate for each in done), "/s", note)


async def _bare_batches(bench: Bench, url: str, name: str, *, raises: bool) -> None:
    bench.tell(f"a bare batch server: {name}")
    server = await bench.ground.bare_batch(url, raises=raises)
    sending = bench.clients.run(
        calls.batches, server.target, name, raises=raises, seconds=bench.seconds
    )
    done, cost = await bench.observed(server, sending, of="key")
    bench.report.add(name, done.rate, "/s", notes(str(cost), client_note(done.cores)))
    server.stop()


async def _echo(bench: Bench) -> None:
    server = await bench.ground.echo()
    body = partial(raise_body, "echo")
    bench.tell("bare echo")
    idle = await calls.one_in_flight(server.target, ECHO, body(0), bench.seconds / 2)
    bench.report.add("idle.echo", idle, "ms")
    await steady.measure_watched(bench, server, steady.THROUGH_NOTHING, "watcher.bare")
    bench.tell("bare HTTP POST")
    bench.report.add("post.bare", await post.one_after_the_other(bench), "ms")
    often, each = bench.call_often(server, ECHO, body), bench.call_each(server, ECHO, body)
    bench.add_load("echo", *await bench.observed(server, often))
    bench.add_load("echo.each", *await bench.observed(server, each))
    server.stop()
    bench.tell("bare echo under uvloop")
    server = await bench.ground.echo(loop="uvloop")
    bench.add_load(
        "echo.uvloop", *await bench.observed(server, bench.call_often(server, ECHO, body))
    )
    server.stop()
