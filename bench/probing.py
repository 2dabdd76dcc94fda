"""A few calls by the ordinary client while others flood a service: what a caller is told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from bench.bodies import RAISE, raise_body
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.status import DETAILS_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_CALL_SECONDS = 30
_KEYS = 8
_DONE, _WITH_RETRY = "OK", "RESOURCE_EXHAUSTED with RetryInfo"


class Probed(NamedTuple):
    """What became of the calls, in numbers and in words.

    `done` were written, `refused_with_retry` were told RESOURCE_EXHAUSTED and when to return; the
    others got any other error. `took` is how long each took, in milliseconds.
    """

    calls: int
    done: int
    refused_with_retry: int
    took: list[float]
    told: str


def probe(target: str, *, rate: int, seconds: float) -> Probed:
    """Call so often a second for so long, whatever the answers do. For a process of its own."""
    return asyncio.run(_probe(target, rate, round(rate * seconds)))


async def _probe(target: str, rate: int, total: int) -> Probed:
    took: list[float] = []
    outcomes: Counter[str] = Counter()
    async with open_channel(target) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(RAISE)

        async def one(number: int) -> None:
            began = time.perf_counter()
            outcomes[await _outcome(call, raise_body("probe", number % _KEYS))] += 1
            took.append((time.perf_counter() - began) * 1000)

        begin, under_way = time.perf_counter(), []
        for number in range(total):
            await asyncio.sleep(begin + number / rate - time.perf_counter())
            under_way.append(asyncio.ensure_future(one(number)))
        await asyncio.gather(*under_way)
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    return Probed(total, outcomes[_DONE], outcomes[_WITH_RETRY], took, told)


async def _outcome(call: Callable[..., Awaitable[bytes]], body: bytes) -> str:
    try:
        await call(body, timeout=_CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        code = error.code()
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _says_when(error):
            return _WITH_RETRY
        return str(code.name)
    return _DONE


def _says_when(error: grpc.aio.AioRpcError) -> bool:
    """Whether the details have a RetryInfo with a time that is not over at once."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            for detail in Status.FromString(value).details:
                said = RetryInfo()
                if detail.Unpack(said):
                    return bool(said.retry_delay.ToTimedelta())
    return False
