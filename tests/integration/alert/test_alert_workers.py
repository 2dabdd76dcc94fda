"""Several workers on one port: one dies under load, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from support.descendants import all_gone, descendants_of
from support.processes import free_port
from support.waiting import eventually
from tocsin.client import AlertClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]

CALLERS = 4
LEAST_RAISES = 200
PATIENT = RetryPolicy(
    total=timedelta(minutes=2), attempt=timedelta(seconds=5), longest_wait=timedelta(seconds=1)
)
SERVING = b"worker_serves"


class Served:
    """`tocsin-alert serve --workers 2`, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process, target: str) -> None:
        self.process = process
        self.target = target
        self.logged: list[bytes] = []

    async def logs(self, words: bytes) -> bytes:
        """Read the log until a line has these words, and return the line."""
        assert self.process.stderr is not None
        async with asyncio.timeout(90):
            async for line in self.process.stderr:
                self.logged.append(line)
                if words in line:
                    return line
        raise AssertionError(b"".join(self.logged).decode())


@asynccontextmanager
async def serving(url: str, *arguments: str, **settings: str) -> AsyncIterator[Served]:
    given = {"DATABASE_URL": url, "DATABASE_CONNECTIONS": "8", "INSECURE_DEV": "true", **settings}
    target = f"127.0.0.1:{free_port()}"
    given.setdefault("LISTEN", target)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.alert", "serve", *arguments),
        env={**os.environ, **{f"TOCSIN_ALERT_{name}": value for name, value in given.items()}},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    served = Served(process, target)
    try:
        yield served
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def raise_until(
    stop: asyncio.Event, target: str, caller: int, acknowledged: set[str]
) -> None:
    """Raise one new alert after the other on a connection of one's own."""
    async with AlertClient(target, retry=PATIENT) as alerts:
        number = 0
        while not stop.is_set():
            answer = await alerts.raise_or_touch(f"host-{caller}", "backup_failed", str(number))
            acknowledged.add(answer.alert.alert_id)
            number += 1


async def test_a_worker_that_is_killed_under_load_costs_nothing_that_was_acknowledged(
    alert_url: str,
) -> None:
    async with serving(alert_url, "--workers", "2") as served:
        await served.logs(b'"workers": 2')
        workers = descendants_of(served.process.pid)
        assert 2 == len(workers)
        stop, acknowledged = asyncio.Event(), set[str]()
        async with asyncio.TaskGroup() as callers:
            for caller in range(CALLERS):
                callers.create_task(raise_until(stop, served.target, caller, acknowledged))
            await eventually(lambda: len(acknowledged) > LEAST_RAISES)
            os.kill(min(workers), signal.SIGKILL)
            await served.logs(SERVING)
            again = len(acknowledged)
            await eventually(lambda: len(acknowledged) > again + LEAST_RAISES)
            stop.set()
        now = descendants_of(served.process.pid)
        assert 2 == len(now)
        served.process.terminate()
        await served.process.communicate()

    assert 0 == served.process.returncode
    assert all_gone(workers | now)
    connection = await asyncpg.connect(alert_url)
    try:
        stored = {str(row[0]) for row in await connection.fetch("SELECT alert_id FROM alerts")}
    finally:
        await connection.close()
    assert acknowledged <= stored


async def test_it_ends_with_an_error_when_the_workers_cannot_start(alert_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        health = f"127.0.0.1:{taken.getsockname()[1]}"
        async with serving(alert_url, WORKERS="2", HEALTH_LISTEN=health) as served:
            _, logged = await served.process.communicate()

    assert 1 == served.process.returncode
    assert b"tocsin-alert: A worker ended before it served" in logged
    assert f"Cannot listen on {health}, for health.".encode() in logged
