"""A batch goes on to its end beside whoever awaits it, and tells him how it ended."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

import grpc
import pytest

from tocsin.common.rpc.whole_batches import execute_whole, see_batches_through

cygrpc: Any = import_module("grpc._cython.cygrpc")


class Batches:
    """Stands in for gRPC: begins batches, completes them, and notes what is freed."""

    def __init__(self, unread: Exception | None = None) -> None:
        self.freed: list[Any] = []
        self.completion: Any = None
        self._unread = unread

    async def execute_batch(self, call: Any, operations: tuple[Any, ...], loop: Any) -> None:
        if not operations:
            raise ValueError("nothing to do")
        self.completion = loop.create_future()
        await self.completion
        self.freed.append((call, operations))
        if self._unread is not None:
            raise self._unread

    def complete(self, error: Exception | None = None) -> None:
        """Do as gRPC does: tell of the end unless the future was cancelled."""
        if self.completion.cancelled():
            return
        if error is None:
            self.completion.set_result(None)
        else:
            self.completion.set_exception(error)

    def begin(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        return execute_whole(self.execute_batch, "call", ("send",), loop)


async def test_a_batch_that_completes_is_freed_and_whoever_awaits_it_goes_on() -> None:
    batches = Batches()
    batch = batches.begin()
    assert ([], False) == (batches.freed, batch.done())
    batches.complete()
    assert [("call", ("send",))] == batches.freed
    await batch


async def test_a_batch_whose_wait_is_cancelled_is_freed_when_it_completes() -> None:
    batches = Batches()
    batch = batches.begin()
    batch.cancel()
    assert [] == batches.freed
    batches.complete()
    assert [("call", ("send",))] == batches.freed
    assert batch.cancelled()


async def test_a_batch_that_fails_is_freed_and_its_error_raised() -> None:
    batches = Batches()
    batch = batches.begin()
    batches.complete(ConnectionError("gone"))
    assert [("call", ("send",))] == batches.freed
    with pytest.raises(ConnectionError, match="gone"):
        await batch


async def test_a_batch_whose_wait_is_cancelled_may_fail() -> None:
    batches = Batches()
    batch = batches.begin()
    batch.cancel()
    batches.complete(ConnectionError("gone"))
    assert [("call", ("send",))] == batches.freed
    assert batch.cancelled()


async def test_an_answer_that_cannot_be_read_is_raised_where_the_batch_is_awaited() -> None:
    batches = Batches(unread=UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
    batch = batches.begin()
    batches.complete()
    with pytest.raises(UnicodeDecodeError):
        await batch


async def test_a_batch_that_cannot_begin_raises_at_once_and_the_loop_is_as_before() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="nothing to do"):
        execute_whole(Batches().execute_batch, "call", (), loop)
    assert isinstance(loop.create_future(), asyncio.Future)


async def test_other_futures_of_the_loop_are_its_own_while_batches_are_under_way() -> None:
    batches = Batches()
    batch = batches.begin()
    assert "create_future" not in vars(asyncio.get_running_loop())
    batches.complete()
    await batch


def test_each_batch_is_seen_through_once_however_many_servers_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = Batches()
    monkeypatch.setattr(cygrpc, "execute_batch", batches.execute_batch)
    see_batches_through()
    see_batches_through()
    assert (batches.execute_batch,) == cygrpc.execute_batch.args


def test_a_release_of_grpc_that_was_not_looked_at_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = Batches()
    monkeypatch.setattr(cygrpc, "execute_batch", batches.execute_batch)
    monkeypatch.setattr(grpc, "__version__", "1.850.0")
    see_batches_through()
    assert batches.execute_batch == cygrpc.execute_batch
