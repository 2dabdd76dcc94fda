"""One timer for all callers of the lane: who is given up, when, and at what cost."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from unittest.mock import patch

from tocsin.alert.ledger.call import Call
from tocsin.alert.ledger.patience import Patience
from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.failures import unavailable

ANSWER = cast("Any", "an answer")
LONG = 60.0


async def test_a_call_without_an_answer_is_given_up_when_its_time_is_over() -> None:
    call, patience = Call(2), Patience(0.01)
    call.settle(0, ANSWER)

    patience.watch(call)
    answered, missing = await call.results(unavailable)

    assert ANSWER == answered
    assert isinstance(missing, UnavailableError)
    assert call.is_abandoned


async def test_each_call_ends_at_its_own_time_the_older_ones_first() -> None:
    patience, ended = Patience(0.05), list[int]()

    async def wait(number: int) -> None:
        call = Call(1)
        await asyncio.sleep(number / 100)
        patience.watch(call)
        await call.results(unavailable)
        ended.append(number)

    async with asyncio.timeout(15):
        await asyncio.gather(*map(wait, range(3)))
        await asyncio.gather(*map(wait, range(3)))  # when the timer had nothing left to do

    assert [0, 1, 2, 0, 1, 2] == ended


async def test_a_thousand_calls_that_are_answered_share_one_timer() -> None:
    patience, loop = Patience(LONG), asyncio.get_running_loop()
    with patch.object(loop, "call_at", wraps=loop.call_at) as timers:
        for _ in range(1000):
            call = Call(1)
            patience.watch(call)
            call.settle(0, ANSWER)
            assert [ANSWER] == await call.results(unavailable)

    assert 1 == timers.call_count
    assert not call.is_abandoned


async def test_a_call_whose_task_is_cancelled_is_abandoned() -> None:
    call = Call(1)
    waiting = asyncio.ensure_future(call.results(unavailable))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.wait({waiting})

    assert waiting.cancelled()
    assert call.is_abandoned
