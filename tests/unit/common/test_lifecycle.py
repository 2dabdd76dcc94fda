from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from support.waiting import eventually
from tocsin.common.backoff import Backoff
from tocsin.common.errors import ResourceExhaustedError, UnavailableError
from tocsin.common.lifecycle import BackgroundLoop, run_until_signal

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = timedelta()
LONG = timedelta(hours=1)
QUICK = Backoff(first=timedelta(milliseconds=1), ceiling=timedelta(milliseconds=1))


class Steps:
    """Counts steps and lets a test wait for them."""

    def __init__(self, then: Callable[[int], timedelta | None] = lambda _: None) -> None:
        self.taken = 0
        self._then = then
        self._changed = asyncio.Event()

    async def __call__(self) -> timedelta | None:
        self.taken += 1
        self._changed.set()
        return self._then(self.taken)

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self.taken < count:
                self._changed.clear()
                await self._changed.wait()


async def test_a_loop_rests_until_it_is_woken() -> None:
    steps = Steps()
    loop = BackgroundLoop("test", steps)
    await loop.start()
    await steps.reach(1)
    loop.wake()
    await steps.reach(2)
    await loop.stop()

    assert 2 == steps.taken


async def test_a_loop_goes_on_by_itself_after_its_rest() -> None:
    steps = Steps(lambda _: AT_ONCE)
    loop = BackgroundLoop("test", steps)
    await loop.start()
    await steps.reach(100)
    await loop.stop()

    assert not loop.is_running


async def test_a_wake_during_a_step_is_not_lost() -> None:
    loop: BackgroundLoop

    def wake_in_the_first(count: int) -> None:
        if count == 1:
            loop.wake()

    steps = Steps(wake_in_the_first)
    loop = BackgroundLoop("test", steps)
    await loop.start()
    await steps.reach(2)
    await loop.stop()


async def test_stopping_ends_a_rest_at_once() -> None:
    steps = Steps(lambda _: LONG)
    loop = BackgroundLoop("test", steps)
    await loop.start()
    await steps.reach(1)
    async with asyncio.timeout(5):
        await loop.stop()

    assert 1 == steps.taken


async def test_starting_and_stopping_are_idempotent_and_repeatable() -> None:
    steps = Steps()
    loop = BackgroundLoop("test", steps)
    await loop.stop()
    for times in (1, 2):
        await loop.start()
        await loop.start()
        await steps.reach(times)
        await asyncio.gather(loop.stop(), loop.stop())
        await loop.stop()

    assert 2 == steps.taken


async def test_a_step_in_progress_may_finish_within_the_grace() -> None:
    entered, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def step() -> None:
        entered.set()
        await go_on.wait()
        finished.set()

    loop = BackgroundLoop("test", step)
    await loop.start()
    await entered.wait()
    stopping = asyncio.create_task(loop.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping

    assert finished.is_set()


@pytest.mark.parametrize("grace", [timedelta(), timedelta(milliseconds=20)])
async def test_a_step_that_outlasts_the_grace_is_cancelled(grace: timedelta) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    loop = BackgroundLoop("test", step, grace=grace)
    await loop.start()
    await entered.wait()
    await loop.stop()

    assert cancelled.is_set()
    assert not loop.is_running


async def test_a_failing_step_is_logged_and_the_loop_goes_on() -> None:
    failures = {
        1: KeyError("a bug"),
        2: UnavailableError("away"),
        3: ResourceExhaustedError("full", reason="STORAGE_FULL"),
    }

    def fail(count: int) -> None:
        if count in failures:
            raise failures[count]

    steps = Steps(fail)
    with capture_logs() as logs:
        loop = BackgroundLoop("test", steps, backoff=QUICK)
        await loop.start()
        await steps.reach(4)
        await loop.stop()

    assert [
        ("background_step_failed", 1),
        ("background_step_unavailable", 2),
        ("background_step_unavailable", 3),
    ] == [(entry["event"], entry["failures"]) for entry in logs]


async def test_wakes_do_not_turn_failures_into_a_storm() -> None:
    def fail(_: int) -> None:
        raise UnavailableError("away")

    steps = Steps(fail)
    loop = BackgroundLoop("test", steps, backoff=Backoff(first=LONG, ceiling=LONG))
    await loop.start()
    await steps.reach(1)
    for _ in range(100):
        loop.wake()
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await loop.stop()

    assert 1 == steps.taken


class Service:
    """Records what is done to it; may be told to hang or to fail."""

    def __init__(self, *, hangs: str = "", fails: str = "") -> None:
        self.told: list[str] = []
        self._hangs = hangs
        self._fails = fails

    async def start(self) -> None:
        await self._do("start")

    async def stop(self) -> None:
        await self._do("stop")

    async def _do(self, what: str) -> None:
        self.told.append(what)
        if self._fails == what:
            raise KeyError(what)
        if self._hangs == what:
            await asyncio.Event().wait()
        self.told.append(f"{what} done")

    async def signal_after(self, what: str, number: signal.Signals) -> None:
        await eventually(lambda: what in self.told)
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_a_service_gracefully(number: signal.Signals) -> None:
    service = Service()
    await asyncio.gather(run_until_signal(service), service.signal_after("start done", number))

    assert ["start", "start done", "stop", "stop done"] == service.told


async def test_a_second_signal_ends_a_stop_that_hangs() -> None:
    service = Service(hangs="stop")
    running = asyncio.create_task(exit_code(service))
    await service.signal_after("start done", signal.SIGTERM)
    await service.signal_after("stop", signal.SIGINT)

    assert 128 + signal.SIGINT == await running
    assert "stop done" not in service.told


async def exit_code(service: Service) -> object:
    try:
        await run_until_signal(service)
    except SystemExit as exit_:
        return exit_.code
    return 0


async def test_a_signal_during_the_start_ends_it_and_stops_what_was_started() -> None:
    service = Service(hangs="start")
    await asyncio.gather(run_until_signal(service), service.signal_after("start", signal.SIGTERM))

    assert ["start", "stop", "stop done"] == service.told


async def test_a_failing_start_stops_what_was_started_and_is_told() -> None:
    service = Service(fails="start")
    with pytest.raises(KeyError):
        await run_until_signal(service)

    assert ["start", "stop", "stop done"] == service.told


async def test_a_cancelled_run_stops_the_service() -> None:
    service = Service()
    running = asyncio.create_task(run_until_signal(service))
    await eventually(lambda: "start done" in service.told)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert "stop done" in service.told
