"""A service in several processes on one port.

The processes are started anew, never forked: a fork would take half of gRPC's threads along. The
kernel spreads the connections over them (SO_REUSEPORT, socket(7)). Each is tied to its parent by
a socket: by it the worker says that it serves, and when it closes the worker stops. So no worker
outlives its parent, however that one ended.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from tocsin.common.backoff import Backoff
from tocsin.common.rpc.listening import HeldAddress
from tocsin.common.service_manager import service_manager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tocsin.common.lifecycle import Lifecycle

_log = structlog.get_logger(__name__)

_SERVING: Final = b"s"
_SIGN_OF_LIFE_SECONDS = 1.0
# What a worker is given to end beyond the time for its calls.
_STOP_SECONDS = 10.0
# One that has served so long and dies has met something new.
_SETTLED_SECONDS = 60.0
_BACKOFF = Backoff(first=timedelta(milliseconds=250), ceiling=timedelta(seconds=15))


class WorkersError(Exception):
    """The workers cannot be started; the message says so in one line, their logs say why."""


class Workers:
    """Keeps so many workers at work: one that dies is started again, after a backoff.

    Each is `command` with `--listen HOST:PORT --tether FD` behind it. `before` is done before the
    first one starts, when the address is known to be free. `grace` is what a worker needs at most
    to finish its calls.
    """

    def __init__(
        self,
        count: int,
        listen: str,
        command: Sequence[str],
        *,
        before: Callable[[], Awaitable[None]],
        grace: timedelta,
        backoff: Backoff = _BACKOFF,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.port = 0
        self._count = count
        self._listen = listen
        self._command = tuple(command)
        self._before = before
        self._stop_seconds = grace.total_seconds() + _STOP_SECONDS
        self._backoff = backoff
        self._chance = chance
        self._held: HeldAddress | None = None
        self._stopping = asyncio.Event()
        self._children: set[asyncio.subprocess.Process] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Return once every worker serves.

        Raises ListenError, what `before` raises, and WorkersError when one ends before it serves.
        """
        if self._tasks:
            return
        self._stopping.clear()
        self._held = HeldAddress(self._listen)
        self.port = self._held.port
        await self._before()
        serving = [asyncio.get_running_loop().create_future() for _ in range(self._count)]
        self._tasks = [
            asyncio.create_task(self._keep(number, first), name=f"worker {number}")
            for number, first in enumerate(serving, 1)
        ]
        if not all(await asyncio.gather(*serving)):
            await self.stop()
            raise WorkersError("A worker ended before it served; see what it has said above.")
        self._tasks.append(asyncio.create_task(_tell_that_we_live(), name="sign of life"))
        _log.info("serving", listen=self._listen, port=self.port, workers=self._count)

    @property
    def pids(self) -> list[int]:
        """The workers that run now, by their process ids."""
        return [child.pid for child in self._children]

    async def stop(self) -> None:
        """Ask every worker to stop, and wait. One that does not, or all on a cancel, are killed."""
        self._stopping.set()
        for child in self._children:
            _send(child, signal.SIGTERM)
        kept, self._tasks = self._tasks, []
        for task in kept[self._count :]:
            task.cancel()
        try:
            if kept:
                await asyncio.wait(kept, timeout=self._stop_seconds)
        finally:
            for child in self._children:
                _send(child, signal.SIGKILL)
            if self._held is not None:
                self._held.close()
        if kept:
            await asyncio.wait(kept)

    async def _keep(self, number: int, first: asyncio.Future[bool]) -> None:
        """Have a worker until stopped. `first` is told whether the first one has come to serve."""
        failures = 0
        while True:
            try:
                served = await self._one_life(number, first)
            except OSError as error:  # no process is to be had, or no socket
                served = 0.0
                _log.error("worker_not_started", worker=number, error=str(error))
            if not first.done():
                first.set_result(False)
                return
            if self._stopping.is_set():
                return
            failures = 1 if served > _SETTLED_SECONDS else failures + 1
            pause = self._backoff.delay(failures, self._chance())
            _log.error("worker_restarts", worker=number, pause_s=round(pause.total_seconds(), 3))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause.total_seconds()):
                    await self._stopping.wait()

    async def _one_life(self, number: int, first: asyncio.Future[bool]) -> float:
        """Run one worker until it ends. Returns for how many seconds it has served."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                child = await self._spawn(theirs)
            self._children.add(child)
            if self._stopping.is_set():  # it was not among those that were asked
                _send(child, signal.SIGTERM)
            ours.setblocking(False)
            serves = await loop.sock_recv(ours, 1) == _SERVING
            began = loop.time()
            if serves:
                _log.info("worker_serves", worker=number, pid=child.pid)
                if not first.done():
                    first.set_result(True)
            code = await child.wait()
        self._children.discard(child)
        if not self._stopping.is_set():
            _log.error("worker_ended", worker=number, pid=child.pid, exit_code=code)
        return loop.time() - began if serves else 0.0

    async def _spawn(self, tether: socket.socket) -> asyncio.subprocess.Process:
        host = self._listen.rpartition(":")[0]
        return await asyncio.create_subprocess_exec(
            *self._command,
            "--listen",
            f"{host}:{self.port}",
            "--tether",
            str(tether.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=[tether.fileno()],
            start_new_session=True,  # Ctrl-C reaches us only: we stop them in order
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
        )


class TetheredService:
    """A service in a worker: says that it serves, and ends when the parent is gone."""

    def __init__(self, service: Lifecycle, tether: int) -> None:
        """`tether` is the file descriptor that the parent gave."""
        self._service = service
        self._parent = socket.socket(fileno=tether)

    async def start(self) -> None:
        await self._service.start()
        asyncio.get_running_loop().add_reader(self._parent, self._end_with_parent)
        with suppress(OSError):  # the parent is gone, which the reader hears as well
            self._parent.send(_SERVING)

    async def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._parent)
        await self._service.stop()
        self._parent.close()

    def _end_with_parent(self) -> None:
        asyncio.get_running_loop().remove_reader(self._parent)
        os.kill(os.getpid(), signal.SIGTERM)


def _send(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        child.send_signal(number)


async def _tell_that_we_live() -> None:
    while True:
        service_manager().alive()
        await asyncio.sleep(_SIGN_OF_LIFE_SECONDS)
