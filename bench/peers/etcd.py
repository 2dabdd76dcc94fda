"""etcd, from Debian's package etcd-server: what a watch of a durable store can be."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench import h2load
from bench.calls import answer_bytes, calling
from bench.light import BYTES, NUMBER, Field, light_message
from bench.load import client_note
from bench.peers.programs import find, running
from bench.percentiles import p50_and_p99
from bench.raw_streams import raw_streams
from bench.run import IN_FLIGHT
from tocsin.cli.stack.ports import free_port

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bench.peers.programs import Program
    from bench.run import Bench

# https://etcd.io/docs/v3.4/dev-guide/api_reference_v3/, as much of it as is spoken here.
PUT, WATCH = "/etcdserverpb.KV/Put", "/etcdserverpb.Watch/Watch"
_Put = light_message("PutRequest", key=Field(1, BYTES), value=Field(2, BYTES))
_Create = light_message("WatchCreateRequest", key=Field(1, BYTES), range_end=Field(2, BYTES))
_Watch = light_message("WatchRequest", create_request=Field(1, BYTES))
_Told = light_message(
    "WatchResponse", created=Field(3, NUMBER), events=Field(11, BYTES, several=True)
)
_Event = light_message("Event", kv=Field(2, BYTES))
_KeyValue = light_message("KeyValue", value=Field(5, BYTES))

_RATE = 500
_BODIES = 8
_VALUE = bytes(300)
_QUIET_SECONDS = 1.0
_PATIENCE_SECONDS = 60


async def measure_etcd(bench: Bench) -> None:
    """Measure puts, then watches of them."""
    program = find("etcd")
    if program is None or not h2load.is_installed():
        needed = "etcd-server and nghttp2-client"
        bench.report.run["without etcd"] = f"it needs the packages {needed}"
        return
    port = free_port()
    target = f"127.0.0.1:{port}"
    async with _running(bench, program, port):
        bodies = [_put(f"key-{number}", _VALUE) for number in range(_BODIES)]
        bench.tell("etcd: puts")
        done = await _puts(bench, target, bodies)
        bench.report.add("etcd.put", done, "/s")
        await _put_to_watch(bench, target)
        for watchers in (10, 100):
            await _fan_out(bench, target, bodies, watchers)


async def _puts(bench: Bench, target: str, bodies: list[bytes]) -> float:
    size = await answer_bytes(target, PUT, bodies[0])
    load = await asyncio.to_thread(
        h2load.load,
        target,
        PUT,
        bodies,
        in_flight=IN_FLIGHT,
        seconds=bench.seconds,
        answer_bytes=size,
    )
    return load.rate


async def _put_to_watch(bench: Bench, target: str) -> None:
    bench.tell(f"etcd: put to watch, {_RATE}/s")
    late: list[float] = []

    def take(message: bytes) -> None:
        now = time.monotonic_ns()
        for event in _Told.FromString(message).events:
            value = _KeyValue.FromString(_Event.FromString(event).kv).value
            late.append((now - int(value)) / 1e6)

    async with raw_streams(target, WATCH, _all_keys(), 1, take, half_open=True):
        await bench.clients.run(put_steadily, target, _RATE, bench.seconds)
        await _until_quiet(late)
    p50, p99 = p50_and_p99(late)
    bench.report.add("etcd.watch.p50", p50, "ms")
    bench.report.add("etcd.watch.p99", p99, "ms")


async def _fan_out(bench: Bench, target: str, bodies: list[bytes], watchers: int) -> None:
    bench.tell(f"etcd: {watchers} watchers")
    moments: list[float] = []
    counts: list[int] = []

    def take(message: bytes) -> None:
        if events := len(_Told.FromString(message).events):
            moments.append(time.perf_counter())
            counts.append(events)

    async with raw_streams(target, WATCH, _all_keys(), watchers, take, half_open=True):
        begin, cpu = time.perf_counter(), time.process_time()
        await _puts(bench, target, bodies)
        await _until_quiet(moments)
        cores = (time.process_time() - cpu) / (time.perf_counter() - begin)
    rate = sum(counts) / (moments[-1] - moments[0])
    bench.report.add(f"etcd.watch.{watchers}", rate, "/s", client_note(cores))


async def _until_quiet(heard: list[float]) -> None:
    """Wait until nothing more is heard."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        before = -1
        while len(heard) != before:
            before = len(heard)
            await asyncio.sleep(_QUIET_SECONDS)


def put_steadily(target: str, rate: int, seconds: float) -> None:
    """Put at a steady rate; each value is the moment at which it was due. For its own process."""
    asyncio.run(_put_steadily(target, rate, round(rate * seconds)))


async def _put_steadily(target: str, rate: int, total: int) -> None:
    async with calling(target, PUT) as call:
        begin = time.monotonic_ns() + 100_000_000
        under_way = []
        for number in range(total):
            due = begin + number * 1_000_000_000 // rate
            await asyncio.sleep((due - time.monotonic_ns()) / 1e9)
            body = _put(f"steady-{number}", str(due).encode())
            under_way.append(asyncio.ensure_future(call(body)))
        await asyncio.gather(*under_way)


def _put(key: str, value: bytes) -> bytes:
    written: bytes = _Put(key=key.encode(), value=value).SerializeToString()
    return written


def _all_keys() -> bytes:
    create = _Create(key=b"\0", range_end=b"\0").SerializeToString()
    written: bytes = _Watch(create_request=create).SerializeToString()
    return written


def _running(bench: Bench, program: str, port: int) -> AbstractAsyncContextManager[Program]:
    folder = bench.ground.folder / "etcd"
    folder.mkdir(mode=0o700)
    peer = f"http://127.0.0.1:{free_port()}"
    client = f"http://127.0.0.1:{port}"
    command = [
        *(program, "--data-dir", str(folder / "store"), "--log-level", "error"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"default={peer}"),
    ]
    return running(command, port, folder / "etcd.log")
