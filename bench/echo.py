"""The least that a grpc.aio server can do: give back what it was sent. A process of its own.

`python -m bench.echo PORT asyncio|uvloop`. Several on one port share its connections.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Literal

import grpc
import uvloop

from bench.bodies import ECHO

EchoLoop = Literal["asyncio", "uvloop"]


async def _echo(request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return request


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    _, service, method = ECHO.split("/")
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_registered_method_handlers(service, {method: handler})
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def _main(port: str, loop: str) -> None:
    new_loop = uvloop.new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(int(port)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
