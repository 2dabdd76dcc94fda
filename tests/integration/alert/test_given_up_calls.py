"""Nothing is kept of a call or a stream that was given up, at whatever moment.

Seen by the number of Python's objects. What gRPC allocates for them lies outside of those: see
tests/integration/common/test_whole_batches.py.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from support.alert import running_alert
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import grpc

    from support.alert import RunningAlert

    GiveUp = Callable[[RunningAlert, int], Awaitable[None]]

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROUNDS, OF_EACH_ROUND = 6, 600
AT_ONCE = 10
# What is kept is one object at least for each that was begun, in every round; caches fill in one or
# another.
MOST = OF_EACH_ROUND / 3
# gRPC's server has a task now and then that waits for the next call.
OF_THE_SERVER = 2


async def end(call: grpc.aio.Call, after_ms: int) -> None:
    """Give a call up after so long, unless it has ended by then."""
    code = asyncio.ensure_future(call.code())
    await asyncio.wait([code], timeout=after_ms / 1000)
    call.cancel()
    await code


async def give_up_a_call(service: RunningAlert, place: int) -> None:
    """Of a clear that finds nothing open, so that nothing is remembered of it either."""
    clear = pb.AutoResolveRequest(host_id="nas", kind="backup_failed")
    await end(service.alerts.AutoResolve(clear), place % 5)


async def give_up_a_stream(service: RunningAlert, place: int) -> None:
    """Mostly after its snapshot, the others anywhere."""
    watch = service.alerts.WatchEvents(pb.WatchEventsRequest(snapshot=True))
    if place % 4:
        await watch.read()
    await end(watch, place % 7)


async def objects_after(service: RunningAlert, give_up: GiveUp) -> int:
    """Give up a round of them; return how many objects there are once all has come to rest."""
    tasks = len(asyncio.all_tasks())
    for first in range(0, OF_EACH_ROUND, AT_ONCE):
        await asyncio.gather(*(give_up(service, first + place) for place in range(AT_ONCE)))
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks + OF_THE_SERVER)
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize("give_up", [give_up_a_call, give_up_a_stream])
async def test_nothing_is_kept_of_what_was_given_up(alert_url: str, give_up: GiveUp) -> None:
    async with running_alert(alert_url) as service:
        seen = [await objects_after(service, give_up) for _ in range(ROUNDS)]
    grown = [after - before for before, after in pairwise(seen)]
    assert min(grown) < MOST, grown
