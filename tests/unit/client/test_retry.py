from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import grpc
import grpc.aio
import pytest

from tocsin.client import errors
from tocsin.client.errors import ErrorDetails
from tocsin.client.retry import RetryPolicy, call, call_async, single_attempt

if TYPE_CHECKING:
    from collections.abc import Awaitable

SECOND = timedelta(seconds=1)


class World:
    """A clock that a sleep moves on, and attempts that fail as told, each taking some time."""

    def __init__(self, *failures: errors.CallError, takes: float = 0.0) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self.timeouts: list[float] = []
        self._failures = list(failures)
        self._takes = takes

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def attempt(self, seconds: float) -> str:
        self.timeouts.append(seconds)
        self.now += min(self._takes, seconds)
        if self._failures:
            raise self._failures.pop(0)
        return "done"

    async def async_attempt(self, seconds: float) -> str:
        return self.attempt(seconds)

    def policy(self, **changes: timedelta) -> RetryPolicy:
        return RetryPolicy(
            monotonic=lambda: self.now,
            random=lambda: 0.0,
            sleep=self.sleep,
            async_sleep=self.async_sleep,
            **changes,
        )


class Run(Protocol):
    def __call__(self, world: World, **changes: timedelta) -> Awaitable[str]: ...


async def run_async(world: World, **changes: timedelta) -> str:
    return await call_async(world.policy(**changes), world.async_attempt)


async def run_sync(world: World, **changes: timedelta) -> str:
    return call(world.policy(**changes), world.attempt)


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


def away(delay: timedelta | None = None) -> errors.CallError:
    return errors.UnavailableError("away", ErrorDetails(retry_delay=delay))


async def test_a_call_that_succeeds_is_made_once(run: Run) -> None:
    world = World()

    assert await run(world) == "done"
    assert world.timeouts == [5.0]
    assert world.sleeps == []


async def test_waits_double_up_to_the_longest(run: Run) -> None:
    world = World(*[away()] * 8)

    assert await run(world) == "done"
    assert pytest.approx(world.sleeps) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


async def test_a_deadline_that_passed_is_retried_since_the_request_has_an_id(
    run: Run,
) -> None:
    world = World(errors.DeadlineExceededError("late"), takes=5)

    assert await run(world) == "done"
    assert world.timeouts == [5.0, 5.0]


async def test_the_server_is_waited_for_as_long_as_it_asks(run: Run) -> None:
    world = World(away(2 * SECOND), away(0.01 * SECOND))

    assert await run(world) == "done"
    assert pytest.approx(world.sleeps) == [2.0, 0.2]


async def test_an_overloaded_server_that_names_a_time_is_tried_again(
    run: Run,
) -> None:
    busy = errors.ResourceExhaustedError("busy", ErrorDetails("OVERLOADED", retry_delay=SECOND))
    world = World(busy)

    assert await run(world) == "done"
    assert world.sleeps == [1.0]


async def test_a_full_disk_is_not_tried_again(run: Run) -> None:
    world = World(errors.ResourceExhaustedError("full", ErrorDetails("STORAGE_FULL")))

    with pytest.raises(errors.ResourceExhaustedError):
        await run(world)
    assert world.sleeps == []


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidArgumentError("bad"),
        errors.NotFoundError("none"),
        errors.FailedPreconditionError("not now"),
        errors.InternalError("bug"),
        errors.AbortedError("changed"),
        errors.UnimplementedError("what?"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_a_repetition_cannot_heal_is_raised_at_once(
    run: Run, error: errors.CallError
) -> None:
    world = World(error)

    with pytest.raises(type(error)):
        await run(world)
    assert len(world.timeouts) == 1


async def test_the_last_error_is_raised_before_a_wait_that_would_pass_the_total(
    run: Run,
) -> None:
    world = World(*[away()] * 100)

    with pytest.raises(errors.UnavailableError):
        await run(world, total=3 * SECOND)
    assert world.now <= 1003.0
    assert pytest.approx(world.sleeps) == [0.1, 0.2, 0.4, 0.8]


async def test_a_wait_that_the_server_asks_for_past_the_total_is_not_begun(
    run: Run,
) -> None:
    world = World(away(60 * SECOND))

    with pytest.raises(errors.UnavailableError):
        await run(world)
    assert world.sleeps == []


async def test_the_last_attempt_gets_only_what_is_left_of_the_total(
    run: Run,
) -> None:
    world = World(*[errors.DeadlineExceededError("late")] * 9, takes=5)

    with pytest.raises(errors.DeadlineExceededError):
        await run(world, total=12 * SECOND)
    assert pytest.approx(world.timeouts) == [5.0, 5.0, 1.7]
    assert world.now == pytest.approx(1012.0)


async def test_errors_of_grpc_are_told_as_ours() -> None:
    async def fail(seconds: float) -> str:
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), grpc.aio.Metadata(), "no such thing"
        )

    with pytest.raises(errors.NotFoundError, match="no such thing"):
        await call_async(RetryPolicy(), fail)


@pytest.mark.parametrize(("drawn", "expected"), [(0.0, 0.4), (0.5, 0.3), (1.0, 0.2)])
def test_jitter_takes_off_up_to_half_of_a_wait(drawn: float, expected: float) -> None:
    policy = RetryPolicy(random=lambda: drawn)

    assert policy.wait_after(3, None) == pytest.approx(expected)


def test_waits_stay_finite_however_often_it_failed() -> None:
    assert RetryPolicy(random=lambda: 0.0).wait_after(10_000, None) == 5.0


def test_a_single_attempt_is_not_repeated_even_when_it_failed_at_once() -> None:
    world = World(away(), away())

    with pytest.raises(errors.UnavailableError):
        call(single_attempt(world.policy(), 7 * SECOND), world.attempt)
    assert world.timeouts == [7.0]
    assert world.sleeps == []
