"""A real NATS server with JetStream for tests, where one is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import nats
import pytest
from nats.js.api import DeliverPolicy

from support.processes import free_port
from tocsin.api.alert.v1.event_pb2 import AlertEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from nats.aio.client import Client
    from nats.aio.msg import Msg

_PROGRAM = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_nats = pytest.mark.skipif(_PROGRAM is None, reason="no nats-server on this machine")


class NatsServer:
    """One server, on one port and one folder over all of its lives."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert _PROGRAM is not None
        place = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder)]
        self._process = subprocess.Popen(
            [_PROGRAM, *place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """Give a connection, as soon as the server takes one."""
        client = await nats.connect(
            self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_nothing
        )
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def running_nats(folder: Path) -> AsyncIterator[NatsServer]:
    """Run a server until the end of the block."""
    server = NatsServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def messages_of(client: Client, stream: str) -> list[Msg]:
    """Return all that a stream holds, the oldest first."""
    jetstream = client.jetstream()
    count = (await jetstream.stream_info(stream)).state.messages
    subscription = await jetstream.subscribe(
        ">", stream=stream, ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
    )
    found = [await subscription.next_msg(15) for _ in range(count)]
    await subscription.unsubscribe()
    return found


def event_of(message: Msg) -> AlertEvent:
    return AlertEvent.FromString(message.data)


async def _nothing(_error: Exception) -> None: ...
