"""Two replicas of the alert service, each behind a link, and what strikes them at random."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
import grpc

from support.links import linked_to
from support.processes import IMPATIENT, ServiceProcess, free_port, running
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.links import Link
    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

# Not of the writers only: reads and the listener are struck as well.
_TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < $1
"""
_EASE_SECONDS = 0.1, 0.5
_DECK = "service", "sessions", "sessions", "sessions", "link", "link", "link"
"""What strikes before anything strikes once more than that. A killed service takes a second."""


@dataclass
class Replica:
    service: ServiceProcess
    link: Link
    alerts: AlertServiceAsyncStub


@dataclass
class Strikes:
    """Kills replicas and sessions of the database, and cuts links, one after the other.

    `moments` are when, on the clock of `time.monotonic`; `counts` how often each.
    """

    replicas: list[Replica]
    url: str
    random: random.Random
    moments: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _deck: list[str] = field(default_factory=list)
    _rising: asyncio.Task[None] | None = None

    async def go_on(self) -> None:
        """Strike until cancelled. No more than one replica is away at a time."""
        connection = await asyncpg.connect(self.url)
        try:
            while True:
                await asyncio.sleep(self.random.uniform(*_EASE_SECONDS))
                await self._strike(connection)
        finally:
            await connection.close()
            if self._rising is not None:
                await self._rising

    async def _strike(self, connection: asyncpg.Connection) -> None:
        if not self._deck:
            self._deck = self.random.sample(_DECK, len(_DECK))
        kind = self._deck.pop()
        replica = self.random.choice(self.replicas)
        if kind == "service" and self._rising is not None:
            await asyncio.shield(self._rising)
        self.moments.append(time.monotonic())
        if kind == "service":
            self._kill(replica.service)
        elif kind == "sessions":
            share = self.random.choice((0.2, 0.5, 1.0))
            ended = await connection.fetchval(_TERMINATE, share)
            self.counts["killed_sessions_of_PostgreSQL"] += ended
        else:
            replica.link.cut()
            replica.link.heal()
            self.counts["cut_links"] += 1

    def _kill(self, service: ServiceProcess) -> None:
        service.kill()
        service.start()
        self._rising = asyncio.create_task(service.serving())
        self.counts["killed_services"] += 1


@asynccontextmanager
async def two_replicas(url: str, folder: Path, dice: random.Random) -> AsyncIterator[Strikes]:
    """Run two replicas on one database, which is not struck yet."""
    services = [_service(url, folder, number) for number in range(2)]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*services))
        replicas = []
        for service in services:
            link = await stack.enter_async_context(linked_to(service.port))
            channel = grpc.aio.insecure_channel(link.target, options=IMPATIENT)
            await stack.enter_async_context(channel)
            replicas.append(Replica(service, link, AlertServiceStub(channel)))
        yield Strikes(replicas, url, dice)


@asynccontextmanager
async def striking(strikes: Strikes) -> AsyncIterator[None]:
    """Strike for as long as the block lasts, and let all stand again."""
    task = asyncio.create_task(strikes.go_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _service(url: str, folder: Path, number: int) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_ALERT_DATABASE_URL": url,
        "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_ALERT_INSECURE_DEV": "true",
        "TOCSIN_ALERT_MIGRATE_ON_START": "false",
    }
    return ServiceProcess("tocsin.alert", environment, port, folder / f"alert-{number}.log")
