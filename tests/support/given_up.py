"""Calls that are given up while the server is in the midst of them, at a moment that is certain.

As a program (`python -m support.given_up`) it counts what that costs, and prints as JSON, for each
way, the bytes of a call that malloc has given out and not got back. It is to be run with
WITH_ONE_ARENA in its environment. With the argument `bare` the server takes gRPC for a release that
it does not know.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from support.links import linked_to
from support.waiting import eventually
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WARM, MEASURED, AT_ONCE = 400, 800, 50
LOOKS, PAUSE_SECONDS = 10, 0.05
# Only the first arena is counted (https://man7.org/linux/man-pages/man3/mallinfo.3.html), and what
# threads have put by for themselves counts as given out.
WITH_ONE_ARENA = {"MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
# More than the windows of HTTP/2 take for a caller that reads nothing.
UNREAD = b"x" * (1 << 20)


class Begun(grpc.aio.ServerInterceptor):
    """Counts calls as they begin, and those whose behaviour has come to its wait."""

    calls = 0
    waiting = 0

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.calls += 1
        return await continuation(details)

    async def work(self, _: bytes, __: Any) -> bytes:
        self.waiting += 1
        await asyncio.Event().wait()
        return b""

    async def write(self, _: bytes, context: Any) -> None:
        self.waiting += 1
        while True:
            await context.write(UNREAD)


@dataclass
class Way:
    """How calls begin, and how many of them the server is in the midst of."""

    begin: Callable[[grpc.aio.Channel], Any]
    reached: Callable[[Begun], int]


def _unary(to: grpc.aio.Channel) -> Any:
    return to.unary_unary("/E/Work")


def _stream(to: grpc.aio.Channel) -> Any:
    return to.unary_stream("/E/Write")


BEFORE_THE_REQUEST = Way(lambda to: to.stream_unary("/E/Work")(), lambda begun: begun.calls)
WHILE_WORKED_ON = Way(lambda to: _unary(to)(b""), lambda begun: begun.waiting)
WHILE_WRITTEN_TO = Way(lambda to: _stream(to)(b""), lambda begun: begun.waiting)


@dataclass
class Ground:
    """A server, and a client that gives up."""

    port: int
    begun: Begun

    async def cancel(self, way: Way, times: int) -> None:
        """Let the client cancel so many calls, some at a time, on one connection."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            for _ in range(0, times, AT_ONCE):
                calls = await self._in_the_midst(channel, way)
                for call in calls:
                    call.cancel()
                await _ended(calls)

    async def cut(self, way: Way) -> None:
        """Break the connection of some calls."""
        async with (
            linked_to(self.port) as link,
            grpc.aio.insecure_channel(link.target) as channel,
        ):
            calls = await self._in_the_midst(channel, way)
            link.cut()
            await _ended(calls)

    async def _in_the_midst(self, channel: grpc.aio.Channel, way: Way) -> list[Any]:
        self.begun.calls = self.begun.waiting = 0
        calls = [way.begin(channel) for _ in range(AT_ONCE)]
        await eventually(lambda: way.reached(self.begun) == AT_ONCE)
        return calls


async def _ended(calls: list[Any]) -> None:
    for call in calls:
        with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
            await call.code()


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Serve until the end of the block."""
    begun = Begun()
    server = RpcServer("127.0.0.1:0", needs={}, around=[begun])
    handlers: dict[str, Any] = {
        "Work": grpc.unary_unary_rpc_method_handler(begun.work),
        "Write": grpc.unary_stream_rpc_method_handler(begun.write),
    }
    server.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("E", handlers),))
    port = await server.start()
    try:
        yield Ground(port, begun)
    finally:
        await server.server.stop(0)


class Allocated(ctypes.Structure):
    """`struct mallinfo2`."""

    _fields_ = (
        ("others", ctypes.c_size_t * 7),
        ("used", ctypes.c_size_t),
        ("free_and_releasable", ctypes.c_size_t * 2),
    )


def allocated() -> int:
    """Return how many bytes are out. Those of small Python objects are not among them."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Allocated
    gc.collect()
    return int(mallinfo2().used)


async def allocated_at_rest() -> int:
    """Return the least of some looks: gRPC has timers of its own."""
    least = allocated()
    for _ in range(LOOKS):
        await asyncio.sleep(PAUSE_SECONDS)
        least = min(least, allocated())
    return least


async def print_what_is_kept() -> None:
    kept: dict[str, float] = {}
    async with ground() as given_up:
        for name, way in (
            ("before the request", BEFORE_THE_REQUEST),
            ("while worked on", WHILE_WORKED_ON),
        ):
            await given_up.cancel(way, WARM)
            before = await allocated_at_rest()
            await given_up.cancel(way, MEASURED)
            kept[name] = (await allocated_at_rest() - before) / MEASURED
    sys.stdout.write(json.dumps(kept))


if __name__ == "__main__":
    if "bare" in sys.argv:
        grpc.__version__ = "unknown"
    asyncio.run(print_what_is_kept())
