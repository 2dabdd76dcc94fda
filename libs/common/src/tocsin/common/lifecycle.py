"""One contract for everything that is started and stopped, and the loop that most of it is.

`start` and `stop` may each be called again without effect. `stop` returns when nothing runs any
more, and what was stopped may be started again.
"""

from __future__ import annotations

import asyncio
import random
import signal
from datetime import timedelta
from time import perf_counter, time
from typing import TYPE_CHECKING, Protocol

import structlog

from tocsin.common.backoff import Backoff
from tocsin.common.errors import ResourceExhaustedError, UnavailableError
from tocsin.common.service_manager import service_manager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from tocsin.common.service_manager import ServiceManager

_log = structlog.get_logger()

DEFAULT_GRACE = timedelta(seconds=10)


class Lifecycle(Protocol):
    """What can be started and stopped."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class BackgroundLoop:
    """Takes one step after another in a task of its own, until stopped.

    `step` does one round of work and returns how long to rest before the next; None rests until
    `wake`, which also ends any other rest. A step that fails is logged and tried again after a
    backoff, which only `stop` cuts short: what wakes a loop often must not turn into a storm of
    failures.

    `steps` and `failures` count what it has done, and `busy_seconds` how long that took.
    `last_success` is when a step ended well, or when the loop began, in seconds since 1970 by the
    clock of the machine; None before it began. `step_seconds` is the age of the present step.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[timedelta | None]],
        *,
        backoff: Backoff = Backoff(),  # noqa: B008 - a frozen value
        grace: timedelta = DEFAULT_GRACE,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`grace` is what a step in progress is given at `stop` before it is cancelled."""
        self.name = name
        self.steps = 0
        self.failures = 0
        self.busy_seconds = 0.0
        self.last_success: float | None = None
        self._step_began: float | None = None
        self._step = step
        self._backoff = backoff
        self._grace = grace
        self._chance = chance
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def step_seconds(self) -> float:
        """For how long the present step has been under way; 0 while there is none."""
        return 0.0 if self._step_began is None else perf_counter() - self._step_began

    async def start(self) -> None:
        """Begin with the first step, unless it runs already."""
        if self.is_running:
            return
        self._stopping.clear()
        self.last_success = time()
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """End the present rest; if a step is in progress, take another right after it."""
        self._woken.set()

    async def stop(self) -> None:
        """Let the step in progress finish within the grace, cancel it otherwise, and wait."""
        task = self._task
        if task is None:
            return
        self._stopping.set()
        self._woken.set()
        try:
            await asyncio.wait({task}, timeout=self._grace.total_seconds())
        finally:
            task.cancel()
        await asyncio.wait({task})

    async def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                rest = await self._measured_step()
            except Exception as error:  # noqa: BLE001 - the loop outlives whatever a step meets
                failures += 1
                self.failures += 1
                pause = self._backoff.delay(failures, self._chance())
                self._tell(error, failures, pause)
                await _wait(self._stopping, pause)
            else:
                failures = 0
                self.last_success = time()
                await _wait(self._woken, rest)

    async def _measured_step(self) -> timedelta | None:
        self.steps += 1
        began = self._step_began = perf_counter()
        try:
            return await self._step()
        finally:
            self._step_began = None
            self.busy_seconds += perf_counter() - began

    def _tell(self, error: Exception, failures: int, pause: timedelta) -> None:
        told = _log.bind(loop=self.name, failures=failures, retry_in_s=pause.total_seconds())
        # A disk that is full is not filled further by what the log has to say of each attempt.
        if isinstance(error, UnavailableError | ResourceExhaustedError):
            told.warning("background_step_unavailable", error=error.message)
        else:
            told.error("background_step_failed", exc_info=error)


async def _wait(event: asyncio.Event, limit: timedelta | None) -> None:
    if limit is not None and limit <= timedelta():
        await asyncio.sleep(0)
        return
    try:
        async with asyncio.timeout(None if limit is None else limit.total_seconds()):
            await event.wait()
    except TimeoutError:
        pass


async def run_until_signal(
    service: Lifecycle,
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    *,
    manager: ServiceManager | None = None,
) -> None:
    """Start a service and stop it at the first signal, gracefully; at the second, at once.

    A signal during `start` cancels it. Whatever `start` raises is raised again, after `stop`.
    `manager`, by default the one that started this process, is told of both.

    Raises SystemExit (128 + signal, as shells count) when it did not come to a graceful end.
    """
    manager = manager or service_manager()
    asked, insisted = asyncio.Event(), asyncio.Event()
    last_signal = 0

    def receive(number: int) -> None:
        nonlocal last_signal
        last_signal = number
        (insisted if asked.is_set() else asked).set()

    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, receive, number)
    try:
        try:
            if await _finishes(service.start(), before=asked):
                manager.ready()
                await asked.wait()
        finally:
            manager.stopping()
            stopped = await _finishes(service.stop(), before=insisted)
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
    if not stopped:
        raise SystemExit(128 + last_signal)


async def _finishes(work: Coroutine[None, None, None], *, before: asyncio.Event) -> bool:
    """Run the work, and cancel it when the event comes first. Return whether it finished."""
    task = asyncio.ensure_future(work)
    interrupt = asyncio.ensure_future(before.wait())
    try:
        await asyncio.wait({task, interrupt}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        interrupt.cancel()
        task.cancel()
        await asyncio.wait({task, interrupt})
    if task.cancelled():
        return False
    task.result()
    return True
