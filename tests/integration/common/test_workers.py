"""Processes that share a port: started, replaced, stopped, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.descendants import all_gone, descendants_of
from support.waiting import eventually
from tocsin.common.backoff import Backoff
from tocsin.common.rpc.listening import ListenError
from tocsin.common.workers import TetheredService, Workers, WorkersError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ANYWHERE = "127.0.0.1:0"
QUICK = Backoff(first=timedelta(milliseconds=1), ceiling=timedelta(milliseconds=1))

# What a worker does, without a service: it listens, says so, tells callers its process id, and
# ends with its parent.
WORKER = """
import os, select, signal, socket, sys
listen, tether = sys.argv[2], int(sys.argv[4])
host, _, port = listen.rpartition(":")
parent = socket.socket(fileno=tether)
with socket.socket() as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind((host, int(port)))
    server.listen()
    parent.send(b"s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while parent not in select.select([server, parent], [], [])[0]:
        with server.accept()[0] as caller:
            caller.sendall(b"%d" % os.getpid())
"""
STUBBORN = WORKER.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN") + "\nsignal.pause()"
# Starts workers as the service does, and lets itself be killed.
PARENT = f"""
import asyncio, sys
from datetime import timedelta
from tocsin.common.logs import configure_logs
from tocsin.common.workers import Workers
async def nothing(): pass
async def main():
    worker = [sys.executable, "-c", {WORKER!r}]
    workers = Workers(2, "{ANYWHERE}", worker, before=nothing, grace=timedelta())
    await workers.start()
    print(*workers.pids, flush=True)  # the log goes to stderr
    await asyncio.Event().wait()
configure_logs("parent")
asyncio.run(main())
"""


async def nothing() -> None:
    pass


def workers_of(script: str, listen: str = ANYWHERE, count: int = 2) -> Workers:
    command: Sequence[str] = [sys.executable, "-c", script]
    return Workers(
        count, listen, command, before=nothing, grace=timedelta(), backoff=QUICK, chance=lambda: 0.5
    )


@asynccontextmanager
async def running(workers: Workers) -> AsyncIterator[Workers]:
    await workers.start()
    try:
        yield workers
    finally:
        await workers.stop()


async def who_answers(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    told = await reader.read()
    writer.close()
    return int(told)


async def test_all_answer_on_one_port_that_was_free() -> None:
    async with running(workers_of(WORKER)) as workers:
        answered = {await who_answers(workers.port) for _ in range(64)}
        pids = set(workers.pids)

    assert pids == answered
    assert 2 == len(pids)


async def test_none_is_left_when_they_are_stopped() -> None:
    async with running(workers_of(WORKER)) as workers:
        pids = set(workers.pids)

    assert [] == workers.pids
    assert all_gone(pids)


async def test_one_that_dies_is_replaced_and_the_others_stay() -> None:
    async with running(workers_of(WORKER)) as workers:
        dying, other = workers.pids
        os.kill(dying, signal.SIGKILL)
        await eventually(lambda: len({*workers.pids} - {dying}) == 2)
        now = workers.pids

    assert other in now
    assert dying not in now


@pytest.mark.parametrize("script", ["import sys; sys.exit(1)", "import os; os.abort()"])
async def test_they_cannot_be_started_when_one_ends_before_it_serves(script: str) -> None:
    workers = workers_of(script)

    with pytest.raises(WorkersError, match="ended before it served"):
        await workers.start()

    assert [] == workers.pids


async def test_a_port_that_is_taken_is_told_before_anything_is_started() -> None:
    begun = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"

        async def before() -> None:
            begun.append(True)

        with pytest.raises(ListenError, match="is taken by another program"):
            await Workers(2, listen, ["false"], before=before, grace=timedelta()).start()

    assert [] == begun


async def test_others_cannot_take_the_port_of_workers() -> None:
    async with running(workers_of(WORKER)) as workers:
        with pytest.raises(ListenError, match="is taken by another program"):
            await workers_of(WORKER, f"127.0.0.1:{workers.port}").start()


async def test_one_that_does_not_stop_is_killed_when_nobody_waits_any_more() -> None:
    workers = workers_of(STUBBORN, count=1)
    await workers.start()
    pids = set(workers.pids)
    stopping = asyncio.create_task(workers.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait({stopping})

    assert all_gone(pids)


class Serves:
    """A service that does nothing."""

    def __init__(self) -> None:
        self.runs = False

    async def start(self) -> None:
        self.runs = True

    async def stop(self) -> None:
        self.runs = False


async def test_a_worker_says_that_it_serves_and_ends_when_its_parent_is_gone() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked.set)
    parent, tether = socket.socketpair()
    service = Serves()
    worker = TetheredService(service, tether.detach())
    try:
        with parent:
            await worker.start()
            assert service.runs
            assert b"s" == parent.recv(1)
            assert not asked.is_set()
        async with asyncio.timeout(30):
            await asked.wait()
        await worker.stop()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)

    assert not service.runs


async def test_none_outlives_a_parent_that_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    pids = {int(pid) for pid in (await parent.stdout.readline()).split()}
    assert pids <= descendants_of(parent.pid)
    parent.kill()
    await parent.wait()

    assert 2 == len(pids)
    assert await asyncio.to_thread(all_gone, pids)
