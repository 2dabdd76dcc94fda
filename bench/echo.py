"""The least that a grpc.aio server can do: give back what it was sent. A process of its own.

`python -m bench.echo PORT asyncio|uvloop`. Several on one port share its connections. Whoever
watches is given what was sent, too, before the caller is.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Literal

import grpc
import uvloop

from bench.bodies import ECHO, ECHOES

EchoLoop = Literal["asyncio", "uvloop"]

_Context = grpc.aio.ServicerContext[bytes, bytes]


class _Echo:
    def __init__(self) -> None:
        self._watched: set[asyncio.Queue[bytes]] = set()

    async def call(self, request: bytes, _context: _Context) -> bytes:
        for each in self._watched:
            each.put_nowait(request)
        return request

    async def watch(self, _request: bytes, context: _Context) -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._watched.add(heard)
        await context.write(b"")
        while True:
            await context.write(await heard.get())


def echo_server() -> grpc.aio.Server:
    """Return the server, without a port and not started."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    echo = _Echo()
    _, service, call = ECHO.split("/")
    answered: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo.call)
    watched: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(echo.watch)
    methods = {call: answered, ECHOES.rpartition("/")[2]: watched}
    server.add_registered_method_handlers(service, methods)
    return server


async def _serve(port: int) -> None:
    server = echo_server()
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def _main(port: str, loop: str) -> None:
    new_loop = uvloop.new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(int(port)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
