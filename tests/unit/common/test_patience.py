from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest

from tocsin.common.errors import NotFoundError, UnavailableError
from tocsin.common.postgres.patience import answered_in_time

AT_ONCE = timedelta()


async def test_an_answer_in_time_is_given() -> None:
    async def work() -> int:
        return 7

    assert 7 == await answered_in_time(work())


async def test_an_error_in_time_is_raised() -> None:
    async def work() -> int:
        raise NotFoundError("none", reason="R")

    with pytest.raises(NotFoundError):
        await answered_in_time(work())


async def test_work_that_takes_too_long_is_unavailable_even_when_it_will_not_be_cancelled() -> None:
    held, allowed = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            held.set()
            await allowed.wait()
            raise

    with pytest.raises(UnavailableError):
        await answered_in_time(work(), AT_ONCE)

    await held.wait()
    allowed.set()


async def test_a_caller_that_goes_away_takes_its_work_along() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    caller = asyncio.create_task(answered_in_time(work()))
    await begun.wait()
    caller.cancel()

    with pytest.raises(asyncio.CancelledError):
        await caller
    await ended.wait()


async def test_work_that_fails_after_its_caller_went_away_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
            raise NotFoundError("none", reason="R")

    caller = asyncio.create_task(answered_in_time(work()))
    await begun.wait()
    caller.cancel()
    await asyncio.wait({caller})
    await ended.wait()
    del caller
    gc.collect()

    assert [] == caplog.messages
