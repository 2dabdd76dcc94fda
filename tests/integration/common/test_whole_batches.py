"""What gRPC allocates for a call is freed, whenever the call is given up."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.given_up import (
    AT_ONCE,
    BEFORE_THE_REQUEST,
    WHILE_WORKED_ON,
    WHILE_WRITTEN_TO,
    WITH_ONE_ARENA,
    ground,
)
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.given_up import Ground, Way

cygrpc: Any = import_module("grpc._cython.cygrpc")

# A batch's smallest block is 80 bytes.
NOTHING, SOMETHING = 40, 80


class Counted:
    """gRPC's `execute_batch`, which counts the batches that begin and those that come to the end.

    At the end it frees what it has allocated.
    """

    def __init__(self) -> None:
        self.begun = self.freed = 0
        mended = cygrpc.execute_batch
        self.original = mended.args[0] if isinstance(mended, partial) else mended

    async def execute_batch(self, *batch: Any) -> None:
        self.begun += 1
        await self.original(*batch)
        self.freed += 1


async def cancel(given_up: Ground, way: Way) -> None:
    await given_up.cancel(way, AT_ONCE)


async def cut(given_up: Ground, way: Way) -> None:
    await given_up.cut(way)


@pytest.mark.parametrize("how", [cancel, cut])
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(BEFORE_THE_REQUEST, id="before the request"),
        pytest.param(WHILE_WORKED_ON, id="while worked on"),
        pytest.param(WHILE_WRITTEN_TO, id="while written to"),
    ],
)
async def test_each_batch_of_a_call_that_is_given_up_comes_to_its_end(
    monkeypatch: pytest.MonkeyPatch, how: Callable[[Ground, Way], Awaitable[None]], way: Way
) -> None:
    counted = Counted()
    monkeypatch.setattr(cygrpc, "execute_batch", counted.execute_batch)
    async with ground() as given_up:
        await how(given_up, way)
    assert counted.begun >= 2 * AT_ONCE
    await eventually(lambda: counted.begun == counted.freed)


async def kept(*arguments: str) -> dict[str, float]:
    """Give calls up in a process of its own; return the bytes that each has cost it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "support.given_up", *arguments),
        cwd=Path(__file__).parents[2],
        env=os.environ | WITH_ONE_ARENA,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await child.communicate()
    assert 0 == child.returncode
    each: dict[str, float] = json.loads(told)
    return each


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc's malloc")
async def test_no_memory_is_kept_of_what_was_given_up_as_it_is_where_grpc_is_left_alone() -> None:
    """Where gRPC keeps nothing any more, `whole_batches` is to be taken away.

    Where it keeps something in spite of it, this release of gRPC is not known to it yet.
    """
    mended, bare = await kept(), await kept("bare")
    assert max(mended.values()) < NOTHING, mended
    assert min(bare.values()) > SOMETHING, bare
