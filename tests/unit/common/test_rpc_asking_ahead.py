"""Calls that are asked for ahead: in order, none lost, and begun without a turn of the loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.common.rpc.asking_ahead import CallsAhead


class RefusedError(Exception):
    """Stands for a question that the core did not answer."""


class Core:
    """Hands calls to whoever has asked for the longest, as gRPC's core does."""

    def __init__(self) -> None:
        self.is_running = True
        self.questions: list[asyncio.Future[int]] = []
        self.turned_away: list[int] = []

    async def ask(self) -> int:
        question: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.questions.append(question)
        return await question

    async def turn_away(self, call: int) -> None:
        self.turned_away.append(call)

    def hand_over(self, *calls: int) -> None:
        for call in calls:
            self.questions.pop(0).set_result(call)

    def fail(self, error: Exception) -> None:
        self.questions.pop(0).set_exception(error)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def asked(core: Core, *, at_once: int = 4) -> CallsAhead:
    calls = CallsAhead(
        core.ask, lambda: core.is_running, core.turn_away, at_once=at_once, refused=RefusedError
    )
    await turns()
    return calls


async def end(core: Core) -> None:
    core.is_running = False
    while core.questions:
        core.fail(RefusedError())
        await turns()


async def first_of(calls: CallsAhead) -> Any:
    """Wait for the next call in the way in which gRPC's main loop does."""
    done, _ = await asyncio.wait({calls.next_call()}, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()


async def test_so_many_questions_are_open_before_any_call_has_come() -> None:
    core = Core()
    await asked(core, at_once=7)

    assert 7 == len(core.questions)
    await end(core)


async def test_calls_that_came_together_are_there_without_a_turn_of_the_loop() -> None:
    core = Core()
    calls = await asked(core)
    core.hand_over(1, 2, 3, 4)
    await turns()
    turned = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turned.set_result, None)

    assert [1, 2, 3, 4] == [await first_of(calls) for _ in range(4)]
    assert not turned.done()
    await end(core)


async def test_a_call_that_comes_later_wakes_the_one_who_waits() -> None:
    core = Core()
    calls = await asked(core)
    waits = asyncio.ensure_future(first_of(calls))
    await turns()
    core.hand_over(1)

    assert 1 == await waits
    await end(core)


async def test_each_question_that_was_answered_is_asked_again() -> None:
    core = Core()
    await asked(core)
    core.hand_over(1, 2, 3)
    await turns()

    assert 4 == len(core.questions)
    await end(core)


async def test_a_call_that_nobody_waited_for_any_more_is_the_next() -> None:
    core = Core()
    calls = await asked(core)
    calls.next_call().cancel()
    core.hand_over(1)
    await turns()

    assert 1 == await first_of(calls)
    await end(core)


async def test_a_second_one_who_waits_for_the_same_call_is_told_in_a_later_turn() -> None:
    core = Core()
    calls = await asked(core)
    call, told = calls.next_call(), list[str]()
    call.add_done_callback(lambda _: told.append("first"))
    call.add_done_callback(lambda _: told.append("second"))
    call.come(1)

    assert ["first"] == told
    await turns()
    assert ["first", "second"] == told
    await end(core)


async def test_a_task_may_wait_for_a_call_without_anything_between() -> None:
    core = Core()
    calls = await asked(core)

    async def wait() -> Any:
        return await calls.next_call()

    waits = asyncio.ensure_future(wait())
    await turns()
    core.hand_over(1)

    assert 1 == await asyncio.wait_for(waits, 15)
    await end(core)


async def test_one_who_no_longer_waits_is_not_told() -> None:
    core = Core()
    calls = await asked(core)
    call, told = calls.next_call(), list[object]()
    call.add_done_callback(told.append)

    assert 1 == call.remove_done_callback(told.append)
    call.come(1)
    await turns()
    assert [] == told
    await end(core)


async def test_a_question_that_fails_while_the_server_runs_is_asked_again() -> None:
    core = Core()
    calls = await asked(core)
    core.fail(RefusedError())
    await turns()
    core.hand_over(1)
    await turns()

    assert 4 == len(core.questions)
    assert 1 == await first_of(calls)
    await end(core)


async def test_what_came_before_an_error_is_still_handed_out_and_then_the_error() -> None:
    core = Core()
    calls = await asked(core, at_once=2)
    core.hand_over(1)
    core.fail(ValueError("bug"))
    await turns()

    assert 1 == await first_of(calls)
    for _ in range(2):
        with pytest.raises(ValueError, match="bug"):
            await first_of(calls)
    await end(core)


async def test_what_came_and_was_not_taken_before_the_stop_is_turned_away_in_order() -> None:
    core = Core()
    await asked(core)
    core.hand_over(1, 2, 3)
    await turns()
    assert [] == core.turned_away
    await end(core)

    assert [1, 2, 3] == core.turned_away


async def test_a_call_that_comes_after_the_stop_has_begun_is_turned_away() -> None:
    core = Core()
    await asked(core)
    core.is_running = False
    core.hand_over(1, 2, 3, 4)
    await turns()

    assert [1, 2, 3, 4] == core.turned_away
    assert [] == core.questions


async def test_a_call_that_is_waited_for_while_the_server_stops_is_not_turned_away() -> None:
    core = Core()
    calls = await asked(core)
    waits = asyncio.ensure_future(first_of(calls))
    await turns()
    core.is_running = False
    core.hand_over(1, 2)

    assert 1 == await waits
    assert [2] == core.turned_away
    await end(core)


async def test_the_end_wakes_the_one_who_waits() -> None:
    core = Core()
    calls = await asked(core)
    waits = asyncio.ensure_future(first_of(calls))
    await turns()
    await end(core)

    with pytest.raises(RefusedError):
        await waits


async def test_an_error_that_is_no_refusal_is_told_though_the_server_runs() -> None:
    core = Core()
    calls = await asked(core)
    core.fail(ValueError("bug"))
    await turns()

    with pytest.raises(ValueError, match="bug"):
        await first_of(calls)
    await end(core)


@given(st.lists(st.sampled_from(["comes", "is waited for"]), max_size=40))
def test_every_call_is_handed_out_once_and_in_order(steps: list[str]) -> None:
    async def play() -> None:
        core = Core()
        calls = await asked(core)
        came, waits = 0, list[asyncio.Task[Any]]()
        for step in steps:
            if step == "comes":
                core.hand_over(came)
                came += 1
            elif not waits or waits[-1].done():
                waits.append(asyncio.ensure_future(first_of(calls)))
            await turns()
        while len(waits) < came or not all(wait.done() for wait in waits[:came]):
            if waits and not waits[-1].done():
                await turns()
                continue
            waits.append(asyncio.ensure_future(first_of(calls)))
            await turns()

        assert list(range(came)) == [wait.result() for wait in waits[:came]]
        for wait in waits[came:]:
            wait.cancel()
        await end(core)

    asyncio.run(play())
