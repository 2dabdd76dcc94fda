"""The services as processes of their own, to be killed."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

IMPATIENT = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


# Outside of the range from which the system takes ports for outgoing connections (32768 and up on
# Linux): one of those would keep a service from its port between two lives. The databases of the
# tests take theirs from 15000 up.
_PORTS = range(10_000, 15_000)


def free_port() -> int:
    """Return a loopback port that nobody uses now, and nobody gets by chance later."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class ServiceProcess:
    """`python -m <module> serve`, on one port over all of its lives."""

    def __init__(
        self, module: str, environment: Mapping[str, str], port: int, log: Path, metrics: int = 0
    ) -> None:
        """`metrics` is the port on which it shows them, if it does."""
        self.port = port
        self.metrics = metrics
        self.target = f"127.0.0.1:{port}"
        self._module = module
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, "serve"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself, and nobody has started it again."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """End it without a warning, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    @property
    def pid(self) -> int:
        """The process id of its present life."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def pause(self) -> None:
        """Freeze it, until it goes on."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    async def serving(self, seconds: float = 120) -> None:
        """Return once it calls itself healthy; fail with its log when it does not."""
        try:
            async with asyncio.timeout(seconds):
                while not await self._is_serving():
                    pass
        except TimeoutError:
            tail = self._log.read_text(errors="replace")[-4000:]
            raise AssertionError(f"{self._module} is not serving:\n{tail}") from None

    async def _is_serving(self) -> bool:
        """Follow its health until it serves, or until the connection ends."""
        async with grpc.aio.insecure_channel(self.target, options=IMPATIENT) as channel:
            await channel.channel_ready()
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            try:
                async for answer in watch:
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return True
            except grpc.aio.AioRpcError:
                return False
        return False


@asynccontextmanager
async def running(*services: ServiceProcess) -> AsyncIterator[None]:
    """Start services and wait for them; stop them at the end, whatever happened."""
    try:
        for service in services:
            service.start()
        for service in services:
            await service.serving()
        yield
    finally:
        for service in services:
            service.stop()
