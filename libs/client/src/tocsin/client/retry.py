"""When a call is tried again: one policy for the synchronous and the asyncio clients.

A call is repeated after UNAVAILABLE and DEADLINE_EXCEEDED, although it may have been carried out:
every request that changes something bears a request_id, or is idempotent by its nature. It is
also repeated after RESOURCE_EXHAUSTED when the server names the time to come back (RetryInfo).
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import grpc
from tenacity import AsyncRetrying, Retrying, retry_if_exception

from tocsin.client.errors import (
    CallError,
    DeadlineExceededError,
    ResourceExhaustedError,
    UnavailableError,
    from_rpc_error,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity import RetryCallState

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often a call is tried.

    `total` bounds the call with all of its attempts and waits, `attempt` each attempt. The wait
    after attempt n is `first_wait` * 2^(n-1), at most `longest_wait`, of which a random half is
    taken off; never less than the server asked for. When the wait would reach past `total`, the
    last error is raised at once.

    `monotonic`, `random`, `sleep` and `async_sleep` are for tests.
    """

    total: timedelta = timedelta(seconds=30)
    attempt: timedelta = timedelta(seconds=5)
    first_wait: timedelta = timedelta(milliseconds=100)
    longest_wait: timedelta = timedelta(seconds=5)
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def wait_after(self, attempt: int, error: BaseException | None) -> float:
        """Return the seconds to wait after the attempt of this number (1 for the first)."""
        asked = error.retry_delay if isinstance(error, CallError) else None
        doubled = self.first_wait.total_seconds() * 2.0 ** min(attempt - 1, 30)
        own = min(doubled, self.longest_wait.total_seconds()) * (1 - self.random() / 2)
        return max(own, asked.total_seconds()) if asked else own


def is_worth_repeating(error: BaseException) -> bool:
    """Whether the same call may succeed on another try."""
    if isinstance(error, ResourceExhaustedError):
        return error.retry_delay is not None
    return isinstance(error, UnavailableError | DeadlineExceededError)


class _Course:
    """One call on its way through its attempts."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._end = policy.monotonic() + policy.total.total_seconds()

    def timeout(self) -> float:
        """Return the seconds that the next attempt may take."""
        left = self._end - self._policy.monotonic()
        return min(left, self._policy.attempt.total_seconds())

    def wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return self._policy.wait_after(state.attempt_number, error)

    def stop(self, state: RetryCallState) -> bool:
        return self._policy.monotonic() + state.upcoming_sleep >= self._end


def call(policy: RetryPolicy, attempt: Callable[[float], _T]) -> _T:
    """Make `attempt(timeout)` until it succeeds or the policy gives up. Raises CallError."""
    course = _Course(policy)

    def once() -> _T:
        try:
            return attempt(course.timeout())
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    retrying = Retrying(
        retry=retry_if_exception(is_worth_repeating),
        wait=course.wait,
        stop=course.stop,
        sleep=policy.sleep,
        reraise=True,
    )
    return retrying(once)


async def call_async(policy: RetryPolicy, attempt: Callable[[float], Awaitable[_T]]) -> _T:
    """Make `await attempt(timeout)` as `call` does."""
    course = _Course(policy)

    async def once() -> _T:
        try:
            return await attempt(course.timeout())
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_worth_repeating),
        wait=course.wait,
        stop=course.stop,
        sleep=policy.async_sleep,
        reraise=True,
    )
    return await retrying(once)


def single_attempt(policy: RetryPolicy, timeout: timedelta | None = None) -> RetryPolicy:
    """Return a policy of one attempt, for a call that must not be repeated blindly.

    `timeout` is that attempt's, else as long as one attempt of `policy`.
    """
    limit = timeout or policy.attempt
    return replace(policy, total=limit, attempt=limit, first_wait=limit * 2, longest_wait=limit * 2)
